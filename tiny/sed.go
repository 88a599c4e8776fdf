package tiny

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// sedding is a sed under way: a program of commands with addresses, run over each line.
type sedding struct {
	*call
	o        *options
	program  []*sedCommand
	last     *regexp.Regexp // the empty expression means the one used last
	number   int
	final    bool // the line at hand is the input's last
	pattern  string
	hold     string
	appended []string
	replaced bool // since the line was read or t looked
	code     int
	over     bool // q
	source   *bufio.Reader
	newline  bool // the line at hand ended with one
	files    map[string]*os.File
}

type sedAddress struct {
	line, step int
	end        bool
	re         *regexp.Regexp
}

type sedCommand struct {
	from, to *sedAddress
	invert   bool
	active   bool // inside its range
	name     byte
	text     string // of a i c, of labels and files
	re       *regexp.Regexp
	with     []piece
	nth      int
	global   bool
	print    bool
	level    int // nesting of { }
}

// piece is a part of a replacement: text, or a group (& is group 0).
type piece struct {
	text  string
	group int
}

var errScript = errors.New("bad script")

func sed(c *call) int {
	o, ok := c.options("nirEse:f:", "quiet=n", "silent=n", "regexp-extended=E", "expression=e", "file=f", "in-place=i")
	if !ok {
		return 1
	}
	s := &sedding{call: c, o: o}
	var scripts []string
	for _, opt := range o.order {
		switch opt.letter {
		case 'e':
			scripts = append(scripts, opt.value)
		case 'f':
			data, err := os.ReadFile(opt.value)
			if err != nil {
				return c.fail("%s: %s", opt.value, reason(err))
			}
			scripts = append(scripts, strings.TrimSuffix(string(data), "\n"))
		}
	}
	if scripts == nil {
		if len(o.rest) == 0 {
			return c.misused("")
		}
		scripts, o.rest = o.rest[:1], o.rest[1:]
	}
	if err := s.parse(strings.Join(scripts, "\n")); err != nil {
		return c.fail("%v", err)
	}
	if o.has('i') {
		return s.inPlace()
	}
	var readers []io.Reader
	c.eachOpened(o.rest, func(name string, r io.Reader) {
		if name == "-" {
			readers = append(readers, r)
			return
		}
		data, err := io.ReadAll(r)
		if err != nil {
			c.errorf("%s: %s", name, reason(err))
		}
		readers = append(readers, bytes.NewReader(data))
	})
	s.run(io.MultiReader(readers...))
	return max(c.bad, s.code)
}

func (s *sedding) inPlace() int {
	for _, name := range s.o.rest {
		info, err := os.Stat(name)
		var data []byte
		if err == nil {
			data, err = os.ReadFile(name)
		}
		if err != nil {
			s.errorf("%s: %s", name, reason(err))
			continue
		}
		var out bytes.Buffer
		s.out.Flush()
		s.out.Reset(&out)
		s.number = 0
		s.run(bytes.NewReader(data))
		s.out.Flush()
		s.out.Reset(os.Stdout)
		if err := os.WriteFile(name, out.Bytes(), info.Mode().Perm()); err != nil {
			s.errorf("%s: %s", name, reason(err))
		}
	}
	return max(s.bad, s.code)
}

func (s *sedding) parse(script string) error {
	level := 0
	for {
		script = strings.TrimLeft(script, " \t\n;")
		if script == "" {
			break
		}
		if script[0] == '#' {
			_, script, _ = strings.Cut(script, "\n")
			continue
		}
		cmd := &sedCommand{level: level}
		var err error
		if cmd.from, script, err = s.address(script); err != nil {
			return err
		}
		if cmd.from != nil && strings.HasPrefix(strings.TrimLeft(script, " "), ",") {
			script = strings.TrimLeft(strings.TrimLeft(script, " ")[1:], " ")
			if cmd.to, script, err = s.address(script); err != nil || cmd.to == nil {
				return errors.New("unexpected ','")
			}
		}
		script = strings.TrimLeft(script, " \t")
		for strings.HasPrefix(script, "!") {
			cmd.invert = true
			script = strings.TrimLeft(script[1:], " \t")
		}
		if script == "" {
			return errors.New("missing command")
		}
		cmd.name, script = script[0], script[1:]
		switch cmd.name {
		case '{':
			level++
		case '}':
			level--
			cmd.level = level
		}
		if script, err = s.arguments(cmd, script); err != nil {
			return err
		}
		s.program = append(s.program, cmd)
	}
	if level != 0 {
		return errors.New("unmatched '{'")
	}
	return nil
}

func (s *sedding) address(script string) (*sedAddress, string, error) {
	switch {
	case script == "":
		return nil, script, nil
	case script[0] == '$':
		return &sedAddress{end: true}, script[1:], nil
	case script[0] >= '0' && script[0] <= '9':
		n := digits(script, 9, 10)
		a := &sedAddress{}
		a.line, _ = strconv.Atoi(script[:n])
		script = script[n:]
		if strings.HasPrefix(script, "~") {
			n = digits(script[1:], 9, 10)
			a.step, _ = strconv.Atoi(script[1 : 1+n])
			script = script[1+n:]
		}
		return a, script, nil
	case script[0] == '/', script[0] == '\\' && len(script) > 1:
		delimiter := script[0]
		if delimiter == '\\' {
			delimiter, script = script[1], script[1:]
		}
		text, rest, ok := delimited(script[1:], delimiter)
		if !ok {
			return nil, "", errors.New("unterminated address regex")
		}
		fold := strings.HasPrefix(rest, "I")
		if fold {
			rest = rest[1:]
		}
		re, err := s.regex(text, fold)
		return &sedAddress{re: re}, rest, err
	}
	return nil, script, nil
}

// delimited cuts at the delimiter, which a backslash or brackets protect.
func delimited(text string, delimiter byte) (before, after string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == delimiter:
			return b.String(), text[i+1:], true
		case text[i] == '\\' && i+1 < len(text):
			i++
			if text[i] != delimiter {
				b.WriteByte('\\')
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(text[i])
		}
	}
	return "", "", false
}

func (s *sedding) regex(text string, fold bool) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	if s.o.has('r') || s.o.has('E') {
		text = extended(text)
	} else {
		text = basic(text)
	}
	if fold {
		text = "(?i)" + text
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, errors.New("bad regex '" + text + "'")
	}
	re.Longest()
	return re, nil
}

func (s *sedding) arguments(cmd *sedCommand, script string) (rest string, err error) {
	switch cmd.name {
	case '{', '}':
		return script, nil
	case 's':
		return s.substitution(cmd, script)
	case 'a', 'i', 'c':
		script = strings.TrimLeft(script, " \t")
		script = strings.TrimPrefix(script, "\\")
		script = strings.TrimPrefix(script, "\n")
		for {
			line, more, found := strings.Cut(script, "\n")
			script = more
			if strings.HasSuffix(line, `\`) && found {
				cmd.text += strings.TrimSuffix(line, `\`) + "\n"
				continue
			}
			cmd.text += line
			return script, nil
		}
	case ':', 'b', 't', 'T', 'r', 'w':
		end := strings.IndexAny(script, ";\n")
		if end < 0 || cmd.name == 'r' || cmd.name == 'w' {
			if end = strings.IndexByte(script, '\n'); end < 0 {
				end = len(script)
			}
		}
		cmd.text = strings.Trim(script[:end], " \t")
		if brace := strings.IndexByte(cmd.text, '}'); brace >= 0 && cmd.name != 'r' && cmd.name != 'w' {
			end = strings.IndexByte(script, '}')
			cmd.text = strings.Trim(script[:end], " \t")
		}
		return script[end:], nil
	case 'q', 'Q':
		script = strings.TrimLeft(script, " ")
		n := digits(script, 3, 10)
		cmd.text = script[:n]
		return script[n:], nil
	case 'p', 'd', 'D', 'P', 'n', 'N', 'h', 'H', 'g', 'G', 'x', '=', 'l':
		trimmed := strings.TrimLeft(script, " \t")
		if trimmed != "" && strings.IndexByte(";\n}#", trimmed[0]) < 0 {
			return "", errors.New("unknown option to '" + string(cmd.name) + "'")
		}
		return trimmed, nil
	}
	return "", s.unknown(cmd)
}

func (s *sedding) unknown(cmd *sedCommand) error {
	return errors.New("unsupported command " + string(cmd.name))
}

func (s *sedding) substitution(cmd *sedCommand, script string) (string, error) {
	if script == "" {
		return "", errScript
	}
	delimiter := script[0]
	pattern, rest, ok := delimited(script[1:], delimiter)
	if !ok {
		return "", errors.New("unmatched '" + string(delimiter) + "'")
	}
	with, rest, ok := delimited(rest, delimiter)
	if !ok {
		return "", errors.New("unmatched '" + string(delimiter) + "'")
	}
	fold := false
flags:
	for rest != "" {
		switch ch := rest[0]; {
		case ch == 'g':
			cmd.global = true
		case ch == 'p':
			cmd.print = true
		case ch == 'i' || ch == 'I':
			fold = true
		case ch >= '1' && ch <= '9':
			n := digits(rest, 5, 10)
			cmd.nth, _ = strconv.Atoi(rest[:n])
			rest = rest[n-1:]
		case ch == 'w':
			end := strings.IndexByte(rest+"\n", '\n')
			cmd.text = strings.TrimSpace(rest[1:end])
			rest = rest[end:]
			break flags
		case strings.IndexByte(" \t;\n}#", ch) >= 0:
			break flags
		default:
			return "", errors.New("unknown option to 's'")
		}
		rest = rest[1:]
	}
	var err error
	cmd.re, err = s.regex(pattern, fold)
	cmd.with = pieces(with)
	return rest, err
}

func pieces(with string) (list []piece) {
	var text strings.Builder
	group := func(n int) {
		list = append(list, piece{text: text.String(), group: -1}, piece{group: n})
		text.Reset()
	}
	for i := 0; i < len(with); i++ {
		switch {
		case with[i] == '&':
			group(0)
		case with[i] == '\\' && i+1 < len(with):
			i++
			switch ch := with[i]; {
			case ch >= '0' && ch <= '9':
				group(int(ch - '0'))
			case ch == 'n':
				text.WriteByte('\n')
			case ch == 't':
				text.WriteByte('\t')
			default:
				text.WriteByte(ch)
			}
		default:
			text.WriteByte(with[i])
		}
	}
	return append(list, piece{text: text.String(), group: -1})
}

func (s *sedding) run(r io.Reader) {
	s.source, s.final = bufio.NewReader(r), false
	for s.read() {
		again := true
		for again {
			again = s.execute()
		}
		s.flushAppended()
		if s.code >= 0 && s.over {
			return
		}
	}
}

// read takes the next line as the pattern space.
func (s *sedding) read() bool {
	line, err := s.source.ReadString('\n')
	if line == "" && err != nil {
		return false
	}
	s.newline = strings.HasSuffix(line, "\n")
	s.pattern = strings.TrimSuffix(line, "\n")
	s.number++
	_, err = s.source.Peek(1)
	s.final = err != nil
	s.replaced = false
	return true
}

func (s *sedding) write(text string) {
	s.print(text)
	if s.newline || !s.final {
		s.print("\n")
	}
}

func (s *sedding) flushAppended() {
	if len(s.appended) > 0 && s.final && !s.newline && !s.o.has('n') {
		s.print("\n")
	}
	for _, text := range s.appended {
		s.print(text)
	}
	s.appended = nil
}

func (s *sedding) matches(a *sedAddress) bool {
	switch {
	case a.end:
		return s.final
	case a.step > 0:
		return s.number >= a.line && (s.number-a.line)%a.step == 0
	case a.line > 0 || a.re == nil && s.last == nil:
		return s.number == a.line
	}
	re := a.re
	if re == nil {
		re = s.last
	}
	s.last = re
	return re.MatchString(s.pattern)
}

// selected settles a command's addresses, ranges included.
func (s *sedding) selected(cmd *sedCommand) bool {
	switch {
	case cmd.from == nil:
		return !cmd.invert
	case cmd.to == nil:
		return s.matches(cmd.from) != cmd.invert
	case cmd.active:
		if cmd.to.line > 0 && cmd.to.re == nil {
			if s.number >= cmd.to.line {
				cmd.active = false
			}
			if s.number > cmd.to.line {
				return cmd.invert
			}
		} else if s.matches(cmd.to) {
			cmd.active = false
		}
		return !cmd.invert
	}
	if !s.matches(cmd.from) {
		return cmd.invert
	}
	cmd.active = !(cmd.to.line > 0 && cmd.to.re == nil && s.number >= cmd.to.line) && !(cmd.to.end && s.final)
	return !cmd.invert
}

// execute runs the program over the pattern space; true runs it once more without reading a line (D).
func (s *sedding) execute() (again bool) {
	for i := 0; i < len(s.program); i++ {
		cmd := s.program[i]
		if !s.selected(cmd) {
			if cmd.name == '{' {
				for i++; s.program[i].name != '}' || s.program[i].level != cmd.level; i++ {
				}
			}
			continue
		}
		switch cmd.name {
		case 's':
			s.substitute(cmd)
		case 'd':
			return false
		case 'D':
			_, rest, more := strings.Cut(s.pattern, "\n")
			s.pattern = rest
			return more
		case 'p':
			s.write(s.pattern)
		case 'P':
			first, _, _ := strings.Cut(s.pattern, "\n")
			s.print(first, "\n")
		case 'n':
			if s.final { // nothing to go on with: the program ends here
				if !s.o.has('n') {
					s.write(s.pattern)
				}
				return false
			}
			if !s.o.has('n') {
				s.write(s.pattern)
			}
			s.flushAppended()
			s.read()
		case 'N':
			if s.final {
				if !s.o.has('n') {
					s.write(s.pattern)
				}
				return false
			}
			before := s.pattern
			s.flushAppended()
			s.read()
			s.pattern = before + "\n" + s.pattern
		case 'h':
			s.hold = s.pattern
		case 'H':
			s.hold += "\n" + s.pattern
		case 'g':
			s.pattern = s.hold
		case 'G':
			s.pattern += "\n" + s.hold
		case 'x':
			s.pattern, s.hold = s.hold, s.pattern
		case '=':
			s.printf("%d\n", s.number)
		case 'l':
			s.print(strings.Trim(strconv.QuoteToASCII(s.pattern), `"`), "$\n")
		case 'a':
			s.appended = append(s.appended, cmd.text+"\n")
		case 'i':
			s.print(cmd.text, "\n")
		case 'c':
			if !cmd.active || cmd.invert {
				s.print(cmd.text, "\n")
			}
			return false
		case 'r':
			data, _ := os.ReadFile(cmd.text)
			s.appended = append(s.appended, string(data))
		case 'w':
			s.save(cmd.text, s.pattern)
		case 'q', 'Q':
			s.code, _ = strconv.Atoi(cmd.text)
			s.over = true
			if cmd.name == 'Q' {
				return false
			}
			i = len(s.program)
		case 'b', 't', 'T':
			if cmd.name == 't' && !s.replaced || cmd.name == 'T' && s.replaced {
				break
			}
			s.replaced = false
			i = s.label(cmd.text)
		}
	}
	if !s.o.has('n') {
		s.write(s.pattern)
	}
	return false
}

func (s *sedding) label(name string) int {
	for i, cmd := range s.program {
		if name != "" && cmd.name == ':' && cmd.text == name {
			return i
		}
	}
	return len(s.program)
}

func (s *sedding) substitute(cmd *sedCommand) {
	re := cmd.re
	if re == nil {
		re = s.last
	}
	if re == nil {
		return
	}
	s.last = re
	var b strings.Builder
	at, count, done := 0, 0, false
	for _, m := range re.FindAllStringSubmatchIndex(s.pattern, -1) {
		count++
		if count < cmd.nth || done && !cmd.global {
			continue
		}
		done = true
		b.WriteString(s.pattern[at:m[0]])
		for _, p := range cmd.with {
			switch {
			case p.group < 0:
				b.WriteString(p.text)
			case 2*p.group+1 < len(m) && m[2*p.group] >= 0:
				b.WriteString(s.pattern[m[2*p.group]:m[2*p.group+1]])
			}
		}
		at = m[1]
	}
	if !done {
		return
	}
	b.WriteString(s.pattern[at:])
	s.pattern, s.replaced = b.String(), true
	if cmd.print {
		s.write(s.pattern)
	}
	if cmd.text != "" {
		s.save(cmd.text, s.pattern)
	}
}

// save is w: /dev/stdout is our own output; a file is begun once and then added to.
func (s *sedding) save(name, text string) {
	if name == "/dev/stdout" {
		s.print(text, "\n")
		return
	}
	if s.files == nil {
		s.files = map[string]*os.File{}
	}
	f := s.files[name]
	if f == nil {
		var err error
		if f, err = os.Create(name); err != nil {
			s.errorf("%s: %s", name, reason(err))
			return
		}
		s.files[name] = f
	}
	f.WriteString(text + "\n")
}
