package main

// pauseContainer is `glassrun pause`.
func pauseContainer(g globals, args []string) error {
	ids, err := parse(flagSet("pause"), args, 1, 1)
	if err != nil {
		return err
	}
	return g.store().Pause(ids[0])
}

// resumeContainer is `glassrun resume`.
func resumeContainer(g globals, args []string) error {
	ids, err := parse(flagSet("resume"), args, 1, 1)
	if err != nil {
		return err
	}
	return g.store().Resume(ids[0])
}
