package main

// deleteContainer is `glassrun delete`.
func deleteContainer(g globals, args []string) error {
	flags := flagSet("delete")
	var force bool
	boolVar(flags, &force, "force", "f")
	ids, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	return g.store().Delete(ids[0], force)
}
