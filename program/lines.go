package program

// Lines is a call in lines of at most width columns: broken between arguments, or between flags. Very long lists are shortened.
func Lines(call string, width int) []string {
	lines := breakSets(wrap(arguments(shorten(call)), ", ", width), width)
	for i := range lines[1:] {
		lines[i+1] = "    " + lines[i+1]
	}
	return lines
}
