package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/filters"
	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"
)

// offer says what a command's arguments name.
type offer int

const (
	offerContainers offer = 1 << iota
	offerImages
	offerNetworks
	offerVolumes
	offerCommands
	thenContainers // after the first argument
)

func completionVerb() verb {
	return verb{
		use: "completion bash|zsh|fish", short: "Print the completion script for a shell", min: 1, max: 1, group: commands,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error {
				script, ok := completionScripts[args[0]]
				if !ok {
					return plainFailure("no completion for %q: bash, zsh or fish", args[0])
				}
				fmt.Fprint(c.stdout, strings.ReplaceAll(script, "glassbox", c.name))
				return nil
			}
		},
	}
}

// completionScripts ask the program itself: `__complete WORDS...`, the last of which is the one being typed.
var completionScripts = map[string]string{
	"bash": `# bash completion for glassbox: eval "$(glassbox completion bash)"
_glassbox() {
	local IFS=$'\n'
	COMPREPLY=($(glassbox __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
	if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
}
complete -o default -F _glassbox glassbox
`,
	"zsh": `#compdef glassbox
# zsh completion for glassbox: source <(glassbox completion zsh)
_glassbox() {
	local -a offers
	offers=("${(@f)$(glassbox __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ -n "${offers[1]}" ]]; then compadd -a offers; else _files; fi
}
compdef _glassbox glassbox
`,
	"fish": `# fish completion for glassbox: glassbox completion fish | source
function __glassbox_offers
	set -l words (commandline -opc) (commandline -ct)
	glassbox __complete -- $words[2..-1] 2>/dev/null
end
complete -c glassbox -f -a '(__glassbox_offers)'
`,
}

func completeVerb() verb {
	return verb{
		use: "__complete -- WORD...", short: "Offer completions of the last word", min: 0, max: -1, bare: true, hidden: true,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error {
				if len(args) == 0 {
					args = []string{""}
				}
				for _, o := range c.offers(args[:len(args)-1], args[len(args)-1]) {
					fmt.Fprintln(c.stdout, o)
				}
				return nil
			}
		},
	}
}

// offers are what can stand where word is being typed, after the words before it.
func (c *call) offers(before []string, word string) []string {
	at := &cli.Command{Name: c.name, Subcommands: c.tree().Commands}
	rest := slices.Clone(before)
	for len(rest) > 0 && len(at.Subcommands) > 0 {
		next := at.Command(rest[0])
		if next == nil {
			return nil
		}
		at, rest = next, rest[1:]
	}
	var all []string
	switch v, isVerb := c.verbs[at]; {
	case !isVerb:
		all = commandNames(at.Subcommands)
	case strings.HasPrefix(word, "-"):
		all = c.flagNames(v)
	case len(rest) > 0 && flagOffers[rest[len(rest)-1]] != 0:
		all = c.named(flagOffers[rest[len(rest)-1]])
	default:
		all = c.argumentNames(v, rest)
	}
	return slices.DeleteFunc(all, func(o string) bool { return !strings.HasPrefix(o, word) })
}

func commandNames(all []*cli.Command) (names []string) {
	for _, c := range all {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

func (c *call) flagNames(v verb) (names []string) {
	inner, _ := c.prepared(c.name+" "+v.name(), v)
	inner.flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return names
}

// argumentNames asks the engine; one that cannot answer offers nothing, for a shell must not print its errors.
func (c *call) argumentNames(v verb, given []string) (names []string) {
	switch {
	case v.offers == offerCommands:
		return commandNames(c.tree().Commands)
	case v.bare && v.offers == offerImages && hasArgument(given):
		return nil
	case v.offers&thenContainers != 0 && hasArgument(given):
		return c.named(offerContainers)
	}
	return c.named(v.offers)
}

// flagOffers are what flags' values name.
var flagOffers = map[string]offer{
	"--network": offerNetworks, "--net": offerNetworks, "--volumes-from": offerContainers, "--link": offerContainers,
}

// named are the names of the kinds of things asked for.
func (c *call) named(kinds offer) (names []string) {
	b, err := c.backend()
	if err != nil {
		return nil
	}
	if kinds&offerContainers != 0 {
		list, _ := b.containers.List(true, -1, false, filters.NewArgs())
		for _, s := range list {
			for _, n := range s.Names {
				if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") { // else a link of another container's
					names = append(names, n)
				}
			}
		}
	}
	if kinds&offerImages != 0 {
		list, _ := b.images.Summaries(false, filters.NewArgs())
		for _, s := range list {
			names = append(names, s.RepoTags...)
		}
	}
	if kinds&offerNetworks != 0 {
		list, _ := b.networks.List(filters.NewArgs())
		for _, n := range list {
			names = append(names, n.Name)
		}
	}
	if kinds&offerVolumes != 0 {
		list, _ := b.volumes.List(filters.NewArgs())
		for _, v := range list.Volumes {
			names = append(names, v.Name)
		}
	}
	return names
}

// hasArgument: after the image come words of another program's. A word after a flag may be the flag's value, so only
// two words that are no flags in a row are taken for an image.
func hasArgument(given []string) bool {
	for i, w := range given {
		if !strings.HasPrefix(w, "-") && (i == 0 || !strings.HasPrefix(given[i-1], "-")) {
			return true
		}
	}
	return false
}
