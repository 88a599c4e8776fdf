package main

import "flag"

// stringVar is a flag of several names whose value is kept where its default stands.
func stringVar(flags *flag.FlagSet, to *string, names ...string) {
	for _, name := range names {
		flags.StringVar(to, name, *to, "")
	}
}

func boolVar(flags *flag.FlagSet, to *bool, names ...string) {
	for _, name := range names {
		flags.BoolVar(to, name, *to, "")
	}
}

// listVar is a flag that may be given several times.
func listVar(flags *flag.FlagSet, add list, names ...string) {
	for _, name := range names {
		flags.Var(&add, name, "")
	}
}

type list func(string) error

func (l *list) String() string { return "" }

func (l *list) Set(v string) error { return (*l)(v) }
