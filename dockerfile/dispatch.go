package dockerfile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"glassbox/image"
	"glassbox/progress"
	"glassbox/source"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/opencontainers/go-digest"
)

// dispatch carries out one instruction.
func (s *stage) dispatch(w progress.Work, c instructions.Command) error {
	args := s.args.inForce(s.edit.Env)
	if why := s.takesUnknown(c); why != nil {
		return s.due(why)
	}
	switch c := c.(type) {
	case *instructions.RunCommand:
		return s.run(w, c, args)
	case *instructions.CopyCommand, *instructions.AddCommand:
		return s.copy(w, c, args)
	case *instructions.ArgCommand:
		if err := s.expand(c, args); err != nil {
			return err
		}
		return s.nothing(w, s.args.declare(c))
	case *instructions.MaintainerCommand:
		s.author = c.Maintainer
		return s.nothing(w, "MAINTAINER "+c.Maintainer)
	case *instructions.WorkdirCommand:
		return s.workdir(w, c, args)
	case *instructions.HealthCheckCommand:
		if h := s.edit.Healthcheck; h != nil && len(h.Test) > 0 && h.Test[0] != "NONE" {
			w.Note(fmt.Sprintf("Note: overriding previous HEALTHCHECK: %v", h.Test))
		}
	}
	said, err := s.edit.Apply(c, args)
	if err != nil {
		return err
	}
	return s.nothing(w, said)
}

// takesUnknown tells, in a plan, that an instruction works with files of which nobody knows what they will be.
func (s *stage) takesUnknown(c instructions.Command) []string {
	switch c.(type) {
	case *instructions.RunCommand, *instructions.CopyCommand, *instructions.AddCommand:
		if s.unknown {
			return []string{"the step before it will give another image"}
		}
	}
	for _, name := range sourcesOf(c) {
		if o, err := s.stageFor(name); err == nil && o != nil && o.unknown {
			return []string{"stage " + name + " will give another image"}
		}
	}
	return nil
}

// expand puts the values of variables into an instruction's words, if it has such.
func (s *stage) expand(c instructions.Command, args []string) error {
	if x, ok := c.(instructions.SupportsSingleWordExpansion); ok {
		return x.Expand(expander(s.lex, slices.Concat(s.edit.Env, args)))
	}
	return nil
}

// nothing is a step in which nothing runs and no file changes: of "#(nop)" in Docker's words, which are of three in most instructions and of two in
// those that once were otherwise.
func (s *stage) nothing(w progress.Work, said string) error {
	return s.commit(w, action{said: s.nop("#(nop) ", said), inputs: []input{{"instruction", said}}})
}

func (s *stage) nop(words ...string) string {
	return strings.Join(append(s.edit.ShellWords(), words...), " ")
}

// run carries out RUN.
func (s *stage) run(w progress.Work, c *instructions.RunCommand, args []string) error {
	if err := s.expand(c, args); err != nil {
		return err
	}
	line, files, err := commandLine(c)
	if err != nil {
		return err
	}
	insecure := s.file.insecure[c]
	if err := s.entitled(c, insecure); err != nil {
		return err
	}
	config := s.edit.Clone()
	config.Cmd = s.edit.Line(line)
	counting := s.args.counting(s.edit.Env)
	a := action{said: strings.Join(append(s.args.before(s.edit.Env), config.Cmd...), " ")}
	a.add("instruction", "RUN "+strings.Join(config.Cmd, " "))
	if a.add("command", list(config.Cmd)); insecure {
		a.add("security", "insecure")
	}
	for _, arg := range counting {
		name, value, _ := strings.Cut(arg, "=")
		a.add("ARG "+name, value)
	}
	for _, f := range files {
		a.add("here-document "+f.Name, string(digest.FromString(f.Data)))
	}
	if n := s.network(c); n != "default" {
		a.add("network", n)
	}
	if err := s.mounted(&a, w, c); err != nil {
		return err
	}
	a.change = func(base *image.Image) (upper string, err error) {
		upper, s.after, err = s.build.run(s.ctx, running{
			base: base, command: c, config: config, args: args, files: files, insecure: insecure,
			from: func(ctx context.Context, name string) (*image.Image, error) { return s.imageFrom(ctx, name, w) },
		}, w)
		return upper, err
	}
	a.runs = true
	return s.commit(w, a)
}

// network is in which a RUN runs, if that is not the usual one.
func (s *stage) network(c *instructions.RunCommand) string {
	if n := instructions.GetNetwork(c); n != instructions.NetworkDefault || s.Network == "" {
		return n
	}
	return s.Network
}

// entitled refuses what --allow would have to allow.
func (s *stage) entitled(c *instructions.RunCommand, insecure bool) error {
	switch {
	case insecure && !slices.Contains(s.Allow, "security.insecure"):
		return errors.New("security.insecure is not allowed: RUN --security=insecure needs --allow security.insecure")
	case instructions.GetNetwork(c) == instructions.NetworkHost && !slices.Contains(s.Allow, "network.host"):
		return errors.New("network.host is not allowed: RUN --network=host needs --allow network.host")
	}
	return nil
}

// mounted adds what RUN's mounts show to what makes its result. A cache is no part of that, nor are a secret's bytes.
func (s *stage) mounted(a *action, w progress.Work, c *instructions.RunCommand) error {
	for _, m := range instructions.GetMounts(c) {
		text, err := json.Marshal(m)
		if err != nil {
			return err
		}
		a.add("mount "+m.Target, string(text))
		if m.Type != instructions.MountTypeBind && m.Type != instructions.MountTypeCache || m.Type == instructions.MountTypeCache && m.From == "" {
			continue
		}
		if m.From != "" && m.From != "scratch" {
			img, err := s.imageFrom(s.ctx, m.From, w)
			if err != nil {
				return err
			}
			a.add("mounted from "+m.From, idOf(img))
			continue
		}
		if m.From == "" {
			o := source.Order{From: &s.Context.Tree, Paths: []string{path.Join("/", m.Source)}, Dest: "/"}
			p, err := o.Find(s.ctx)
			if err != nil {
				return err
			}
			a.add("files of "+path.Join("/", m.Source), string(p.Digest))
			a.files = append(a.files, p.Entries...)
			slices.SortStableFunc(a.files, func(x, y source.Entry) int { return strings.Compare(x.Name, y.Name) })
			if err := p.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

func idOf(img *image.Image) string {
	if img == nil {
		return "scratch"
	}
	return img.ID.String()
}

// commandLine is what RUN runs. A single here-document is a script for the shell, or a program where it names an interpreter; others are the
// shell's own to read.
func commandLine(c *instructions.RunCommand) (line instructions.ShellDependantCmdLine, files []instructions.ShellInlineFile, err error) {
	line = c.ShellDependantCmdLine
	if len(line.Files) == 0 {
		return line, nil, nil
	}
	if len(line.CmdLine) != 1 || !line.PrependShell {
		return line, nil, fmt.Errorf("parsing produced an invalid run command: %v", line.CmdLine)
	}
	first := line.Files[0]
	if first.Chomp {
		first.Data = parser.ChompHeredocContent(first.Data)
	}
	switch {
	case parser.MustParseHeredoc(line.CmdLine[0]) == nil:
		full := line.CmdLine[0]
		for _, f := range line.Files {
			full += "\n" + f.Data + f.Name
		}
		line.CmdLine = []string{full}
	case strings.HasPrefix(first.Data, "#!"):
		files = []instructions.ShellInlineFile{first}
		line.CmdLine = []string{"/dev/pipes/" + first.Name}
	default:
		line.CmdLine = []string{first.Data}
	}
	return line, files, nil
}

// workdir carries out WORKDIR, which makes the directory too.
func (s *stage) workdir(w progress.Work, c *instructions.WorkdirCommand, args []string) error {
	said, err := s.edit.Apply(c, args)
	if err != nil {
		return err
	}
	dir := s.edit.WorkingDir
	return s.commit(w, action{said: s.nop("#(nop) " + said), inputs: []input{{"instruction", said}}, change: func(base *image.Image) (string, error) {
		return s.makeDir(s.ctx, base, dir, "")
	}})
}

// copy carries out COPY and ADD.
func (s *stage) copy(w progress.Work, c instructions.Command, args []string) error {
	if err := s.expand(c, args); err != nil {
		return err
	}
	if err := s.expandDocuments(c.(instructions.SupportsSingleWordExpansionRaw), args); err != nil {
		return err
	}
	o := source.Order{Workdir: s.edit.WorkingDir, Temp: s.work.Dir, Told: w.Out()}
	if s.Epoch != nil {
		o.Epoch = *s.Epoch
	}
	name, from := order(&o, c)
	if from == "" {
		o.From = &s.Context.Tree
		return s.copyOrder(w, name, &o, "")
	}
	img, err := s.imageFrom(s.ctx, from, w)
	if err != nil {
		return fmt.Errorf("invalid from flag value %s: %w", from, err)
	}
	shortcut := s.shortcut(name, &o, img)
	if known, ok := s.cache.find(shortcut); ok && len(s.CacheFrom) == 0 {
		return s.hit(w, known.As, known, action{said: known.Text, inputs: known.Inputs})
	}
	var done func() error
	if o.From, done, err = s.tree(s.ctx, img); err != nil {
		return fmt.Errorf("invalid from flag value %s: %w", from, err)
	}
	return errors.Join(s.copyOrder(w, name, &o, shortcut), done())
}

// order is what COPY or ADD asks for.
func order(o *source.Order, c instructions.Command) (name, from string) {
	var what instructions.SourcesAndDest
	switch c := c.(type) {
	case *instructions.CopyCommand:
		name, from, what = "COPY", c.From, c.SourcesAndDest
		o.Chown, o.Chmod, o.Parents, o.Exclude, o.Link = c.Chown, c.Chmod, c.Parents, c.ExcludePatterns, c.Link
	case *instructions.AddCommand:
		name, what = "ADD", c.SourcesAndDest
		o.Add, o.Chown, o.Chmod, o.Exclude, o.Unpack, o.Link = true, c.Chown, c.Chmod, c.ExcludePatterns, c.Unpack, c.Link
		o.Checksum, o.KeepGit = digest.Digest(c.Checksum), c.KeepGitDir != nil && *c.KeepGitDir
	}
	o.Paths, o.Dest = what.SourcePaths, what.DestPath
	for _, f := range what.SourceContents {
		o.Inline = append(o.Inline, source.File{Name: f.Path, Data: []byte(f.Data)})
	}
	return name, from
}

// expandDocuments puts the values of variables into here-documents, and leaves their quotes alone.
func (s *stage) expandDocuments(c instructions.SupportsSingleWordExpansionRaw, args []string) error {
	lex := shell.NewLex('\\')
	lex.SkipProcessQuotes = true
	return c.ExpandRaw(expander(lex, slices.Concat(s.edit.Env, args)))
}

// shortcut is a second key of a COPY from an image: by the image's id, so that its files need not be read to know that nothing has changed.
func (s *stage) shortcut(name string, o *source.Order, img *image.Image) string {
	a := action{}
	a.add("instruction", strings.Join([]string{name, o.Chown, o.Chmod, spoken(switches(o)), list(o.Paths), o.Workdir, o.Dest}, " "))
	for _, f := range o.Inline {
		a.add("here-document "+f.Name, string(f.Data))
	}
	a.add("from", idOf(img))
	s.complete(&a)
	return keyOf(s.id, a.inputs)
}

// copyOrder finds the files, and copies them unless that was done once. Files that change meanwhile are looked for anew.
func (s *stage) copyOrder(w progress.Work, name string, o *source.Order, shortcut string) error {
	for tries := 0; ; tries++ {
		p, err := o.Find(s.ctx)
		if err != nil {
			return err
		}
		said := spoken([][2]string{{"chown", o.Chown}, {"chmod", o.Chmod}})
		a := action{said: s.nop(fmt.Sprintf("#(nop) %s %s%s in %s ", name, said, p.Classic, o.Dest)), files: p.Entries, shortcut: shortcut}
		a.add("instruction", fmt.Sprintf("%s %s%s%s %s", name, said, spoken(switches(o)), list(o.Paths), o.Dest))
		a.add("files", string(p.Digest))
		a.change = func(base *image.Image) (string, error) { return s.build.copy(s.ctx, base, p) }
		err = s.commit(w, a)
		if err = errors.Join(err, p.Close()); !errors.Is(err, source.ErrChanged) || tries == 3 {
			return err
		}
	}
}

// switches are the flags that change what is copied or how.
func switches(o *source.Order) [][2]string {
	var all [][2]string
	for _, f := range []struct {
		name string
		on   bool
	}{{"parents", o.Parents}, {"link", o.Link}, {"keep-git-dir", o.KeepGit}} {
		if f.on {
			all = append(all, [2]string{f.name, "true"})
		}
	}
	if o.Unpack != nil {
		all = append(all, [2]string{"unpack", strconv.FormatBool(*o.Unpack)})
	}
	for _, pattern := range o.Exclude {
		all = append(all, [2]string{"exclude", pattern})
	}
	return all
}

// spoken are flags as words, each with a blank behind it; one without a value is not there.
func spoken(flags [][2]string) (all string) {
	for _, f := range flags {
		if f[1] != "" {
			all += "--" + f[0] + "=" + f[1] + " "
		}
	}
	return all
}

// list is a list as an input's value, in which no two lists look alike.
func list(words []string) string {
	text, err := json.Marshal(words)
	if err != nil {
		return fmt.Sprintf("%q", words)
	}
	return string(text)
}
