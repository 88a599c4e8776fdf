package main

// deleteContainer is `glassrun delete`.
func deleteContainer(g globals, args []string) error {
	flags := flagSet("delete")
	force := flags.Bool("force", false, "kill it if it is not stopped")
	flags.BoolVar(force, "f", false, "short for --force")
	ids, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	return g.store().Delete(ids[0], *force)
}
