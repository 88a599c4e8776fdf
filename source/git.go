package source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// repository is what a git URL names.
type repository struct {
	remote     string
	ref        string // empty: what the repository's HEAD is
	subdir     string
	commit     string // that it must be
	keepGit    *bool
	submodules bool
}

// gitSuffix is a path of an HTTP URL that is a repository's, Docker's own rule, or BuildKit's with a query.
var gitSuffix = regexp.MustCompile(`\.git(?:\?[^#]*)?(?:#.+)?$`)

// isGitURL is Docker's rule for build contexts.
func isGitURL(name string) bool {
	if isURL(name) {
		return gitSuffix.MatchString(name)
	}
	for _, prefix := range []string{"git://", "ssh://", "github.com/", "git@"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// gitSource is BuildKit's rule for sources of ADD: "github.com/..." could be a file.
func gitSource(name string) (*repository, error) {
	if !isGitURL(name) || strings.HasPrefix(name, "github.com/") {
		return nil, nil
	}
	return parseRepository(name)
}

// parseRepository reads a git URL with #REF:DIRECTORY, or with a query that says the same: ?ref=, ?tag=, ?branch=, ?subdir=, ?checksum=,
// ?commit=, ?keep-git-dir=, ?submodules=.
func parseRepository(name string) (*repository, error) {
	if strings.HasPrefix(name, "github.com/") {
		name = "https://" + name
	}
	r := &repository{submodules: true}
	bare, fragment, _ := strings.Cut(name, "#")
	r.ref, r.subdir, _ = strings.Cut(fragment, ":")
	r.remote = bare
	if remote, query, has := strings.Cut(bare, "?"); has {
		r.remote = remote
		words, err := url.ParseQuery(query)
		if err == nil {
			err = r.query(words)
		}
		if err != nil {
			return nil, err
		}
	}
	if strings.HasPrefix(r.ref, "-") || strings.HasPrefix(r.remote, "-") {
		return nil, fmt.Errorf("invalid refspec: %s", r.ref)
	}
	return r, nil
}

func (r *repository) query(words url.Values) error {
	for key, values := range words {
		if len(values) > 1 {
			return fmt.Errorf("query %q has multiple values", key)
		}
		value := values[0]
		switch key {
		case "keep-git-dir", "submodules":
			yes, err := strconv.ParseBool(value)
			if value == "" {
				yes, err = true, nil
			}
			if err != nil {
				return fmt.Errorf("invalid %s value: %q", key, value)
			}
			if key == "submodules" {
				r.submodules = yes
			} else {
				r.keepGit = &yes
			}
			continue
		}
		if value == "" {
			return fmt.Errorf("query %q has no value", key)
		}
		var err error
		switch key {
		case "ref":
			err = agree("ref", &r.ref, value)
		case "tag":
			err = agree("ref", &r.ref, "refs/tags/"+strings.TrimPrefix(value, "refs/tags/"))
		case "branch":
			err = agree("ref", &r.ref, "refs/heads/"+strings.TrimPrefix(value, "refs/heads/"))
		case "subdir":
			err = agree("subdir", &r.subdir, value)
		case "checksum", "commit":
			err = agree("checksum", &r.commit, value)
		default:
			err = fmt.Errorf("unexpected query %q", key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// agree sets what is not set yet to something else.
func agree(what string, old *string, value string) error {
	if *old != "" && *old != value {
		return fmt.Errorf("%s conflicts: %q vs %q", what, *old, value)
	}
	*old = value
	return nil
}

// checkout fetches a repository into a new directory of temp, and returns the part of it that is wanted.
func (r *repository) checkout(ctx context.Context, root string, keep bool) (dir string, err error) {
	if _, err := exec.LookPath("git"); err != nil {
		return "", fmt.Errorf("unable to find 'git': %w", err)
	}
	ref := r.ref
	if ref == "" {
		ref = "HEAD"
	}
	for _, step := range []struct {
		words []string
		fails string
	}{
		{[]string{"init", "--quiet"}, "failed to init repo at " + root},
		{[]string{"remote", "add", "origin", r.remote}, "failed add origin repo at " + r.remote},
		{r.fetch(ref), "error fetching"},
		{[]string{"checkout", "--quiet", "FETCH_HEAD"}, "error checking out " + ref},
	} {
		out, err := git(ctx, root, step.words...)
		if err != nil && step.words[0] == "fetch" {
			// A server that speaks HTTP without knowing of git has no shallow copies, and a commit may be fetched with its branch only.
			out, err = git(ctx, root, "fetch", "origin", "--", ref)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", step.fails, out, err)
		}
	}
	if err := r.verify(ctx, root); err != nil {
		return "", err
	}
	if r.submodules {
		if out, err := git(ctx, root, "submodule", "update", "--init", "--recursive", "--depth=1"); err != nil {
			return "", fmt.Errorf("error initializing submodules: %s: %w", out, err)
		}
	}
	if !keep {
		if err := os.RemoveAll(filepath.Join(root, ".git")); err != nil {
			return "", err
		}
	}
	return r.part(root)
}

func (r *repository) fetch(ref string) []string {
	return []string{"fetch", "--quiet", "--depth", "1", "origin", "--", ref}
}

// verify compares the commit, of which the first digits may have been given.
func (r *repository) verify(ctx context.Context, root string) error {
	if r.commit == "" {
		return nil
	}
	out, err := git(ctx, root, "rev-parse", "HEAD")
	if err != nil {
		return fmt.Errorf("asking for the commit: %s: %w", out, err)
	}
	if len(r.commit) < 7 || !strings.HasPrefix(out, r.commit) {
		return fmt.Errorf("expected checksum to match %s, got %s", r.commit, out)
	}
	return nil
}

// part is the directory of a repository that is wanted. A link in it does not lead out.
func (r *repository) part(root string) (string, error) {
	if r.subdir == "" {
		return root, nil
	}
	top, err := os.Open(root)
	if err != nil {
		return "", err
	}
	defer top.Close()
	at, err := follow(int(top.Fd()), r.subdir, nil)
	if err != nil {
		return "", err
	}
	defer at.close()
	switch {
	case !at.there():
		return "", named("stat", r.subdir, unix.ENOENT)
	case at.kind() != unix.S_IFDIR:
		return "", fmt.Errorf("error setting git context, not a directory: %s", r.subdir)
	}
	return filepath.Join(root, at.name), nil
}

// git runs git. Repositories must not make it read others from this machine's disk as their submodules.
func git(ctx context.Context, dir string, words ...string) (string, error) {
	c := exec.CommandContext(ctx, "git", append([]string{"-c", "protocol.file.allow=never"}, words...)...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_PROTOCOL_FROM_USER=0")
	c.WaitDelay = time.Second // what git has started may live a little longer than git, with its output
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// repository is a context in git.
func (c *Context) repository(ctx context.Context, where string, o Options) error {
	r, err := parseRepository(where)
	if err != nil {
		return err
	}
	root, err := c.temporary(o)
	if err != nil {
		return err
	}
	dir, err := r.checkout(ctx, root, r.keepGit == nil || *r.keepGit)
	if err != nil {
		return fmt.Errorf("unable to 'git clone' to temporary context directory: %w", err)
	}
	switch {
	case o.Dockerfile == "-":
	case o.Dockerfile == "":
	case filepath.IsAbs(o.Dockerfile):
		return fmt.Errorf("the Dockerfile (%s) must be within the build context", o.Dockerfile)
	default:
		if !filepath.IsLocal(o.Dockerfile) {
			return fmt.Errorf("the Dockerfile (%s) must be within the build context", o.Dockerfile)
		}
		o.Dockerfile = filepath.Join(dir, o.Dockerfile)
	}
	if err := c.directory(ctx, dir, o); err != nil {
		return err
	}
	if strings.HasPrefix(c.Name, "../") || c.added && o.Dockerfile != "-" {
		return errors.New("the Dockerfile must be within the build context: a link in it leads out")
	}
	return nil
}

// clone fetches a repository for ADD.
func (p *Parcel) clone(ctx context.Context, r *repository) error {
	o := &p.order
	keep := o.KeepGit
	if r.keepGit != nil {
		keep = *r.keepGit
	}
	if o.Checksum != "" {
		if err := agree("checksum", &r.commit, string(o.Checksum)); err != nil {
			return err
		}
	}
	root, err := p.temp("git-")
	if err != nil {
		return err
	}
	dir, err := r.checkout(ctx, root, keep)
	if err != nil {
		return err
	}
	tree, err := p.own(dir)
	if err != nil {
		return err
	}
	p.pieces = append(p.pieces, &piece{tree: tree, path: ".", called: "."})
	return nil
}
