package dockerfile

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"glassbox/engine"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// everywhere are arguments that need no ARG. They are in a RUN's environment, but in no history and no cache key: whoever builds behind
// another proxy gets the same image.
var everywhere = []string{
	"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy",
}

// ours are arguments that mean something to whoever builds, and need no ARG either.
var ours = []string{"SOURCE_DATE_EPOCH", "BUILDKIT_SYNTAX", "BUILDKIT_INLINE_CACHE", "BUILDKIT_CONTEXT_KEEP_GIT_DIR", "BUILDKIT_MULTI_PLATFORM", "BUILDKIT_SANDBOX_HOSTNAME"}

// arguments are the build arguments at one place of a Dockerfile.
type arguments struct {
	given    map[string]*string // by --build-arg
	global   map[string]string  // by ARG before the first FROM, and the platforms
	stage    map[string]*string // by ARG of this stage; nil: it has no value of its own
	consumed map[string]bool    // names that some ARG asked for
}

func newArguments(given map[string]*string, target ocispec.Platform, stage string) *arguments {
	a := &arguments{given: given, global: map[string]string{}, stage: map[string]*string{}, consumed: map[string]bool{}}
	here := platforms.DefaultSpec()
	if stage == "" {
		stage = "default"
	}
	for name, value := range map[string]string{
		"BUILDPLATFORM": platforms.Format(here), "BUILDOS": here.OS, "BUILDOSVERSION": here.OSVersion, "BUILDARCH": here.Architecture, "BUILDVARIANT": here.Variant,
		"TARGETPLATFORM": platforms.Format(target), "TARGETOS": target.OS, "TARGETOSVERSION": target.OSVersion, "TARGETARCH": target.Architecture,
		"TARGETVARIANT": target.Variant, "TARGETSTAGE": stage,
	} {
		if v, ok := given[name]; ok && v != nil {
			value = *v
		}
		a.global[name] = value
	}
	return a
}

// inStage is what a new stage begins with: nothing but what stands before all stages, for which it has to ask.
func (a *arguments) inStage() *arguments {
	return &arguments{given: a.given, global: a.global, stage: map[string]*string{}, consumed: maps.Clone(a.consumed)}
}

// declareGlobal carries out an ARG before the first FROM.
func (a *arguments) declareGlobal(c *instructions.ArgCommand, lex *shell.Lex) error {
	if err := c.Expand(expander(lex, a.globals())); err != nil {
		return err
	}
	for _, arg := range c.Args {
		a.consumed[arg.Key] = true
		if v, ok := a.value(arg.Key, arg.Value); ok {
			a.global[arg.Key] = v
		}
	}
	return nil
}

// declare carries out an ARG of a stage, whose words are expanded; said is what its history says.
func (a *arguments) declare(c *instructions.ArgCommand) (said string) {
	said = "ARG"
	for _, arg := range c.Args {
		a.consumed[arg.Key] = true
		a.stage[arg.Key] = arg.Value
		said += " " + arg.Key
		if arg.Value != nil {
			said += "=" + *arg.Value
		}
	}
	return said
}

// value is what an argument stands for: what the user gave, what its ARG says, what an ARG before all stages said.
func (a *arguments) value(name string, otherwise *string) (string, bool) {
	if v, ok := a.given[name]; ok && v != nil {
		return *v, true
	}
	if otherwise != nil {
		return *otherwise, true
	}
	v, ok := a.global[name]
	return v, ok
}

// inForce are the arguments as NAME=VALUE, sorted. An environment variable of the image's hides the argument of its name.
func (a *arguments) inForce(env []string) (all []string) {
	hidden := map[string]bool{}
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		hidden[name] = true
	}
	names := slices.Collect(maps.Keys(a.stage))
	for _, name := range everywhere {
		if _, ok := a.stage[name]; !ok && a.given[name] != nil {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if v, ok := a.value(name, a.stage[name]); ok && !hidden[name] {
			all = append(all, name+"="+v)
		}
	}
	slices.Sort(all)
	return all
}

// counting are those of them that tell one result from another.
func (a *arguments) counting(env []string) []string {
	return slices.DeleteFunc(a.inForce(env), func(arg string) bool {
		name, _, _ := strings.Cut(arg, "=")
		_, asked := a.stage[name]
		return !asked && slices.Contains(everywhere, name)
	})
}

// before is what Docker's history puts before the command of a RUN that has arguments: "|2 A=1 B=2".
func (a *arguments) before(env []string) []string {
	if len(a.inForce(env)) == 0 {
		return nil
	}
	all := a.counting(env)
	return append([]string{"|" + strconv.Itoa(len(all))}, all...)
}

// globals are what FROM may name.
func (a *arguments) globals() []string {
	var all []string
	for _, name := range everywhere {
		if v := a.given[name]; v != nil {
			all = append(all, name+"="+*v)
		}
	}
	for name, v := range a.global {
		all = append(all, name+"="+v)
	}
	slices.Sort(all)
	return all
}

// leftover are the names that the user gave and no ARG asked for.
func leftover(given map[string]*string, consumed map[string]bool) []string {
	var all []string
	for name := range given {
		if !consumed[name] && !slices.Contains(everywhere, name) && !slices.Contains(ours, name) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func expander(lex *shell.Lex, env []string) instructions.SingleWordExpander {
	return engine.Expander(lex, shell.EnvsFromSlice(env))
}
