package main

// interleaved is how often a start is measured with and without its account, one after the other.
const interleaved = 200

// explained: what it costs to tell of a start, and to follow what runs then.
func explained(r *rig, t *table) error {
	image := r.address + "/true"
	if err := run(glassbox("pull", image)); err != nil {
		return err
	}
	start := func(name string, flags ...string) *runner {
		return &runner{name: name, argv: always(glassbox(append(append([]string{"run", "--rm", "--network", "none"}, flags...), image)...)...)}
	}
	silent, told, traced := start("the same without"), start("--explain", "--explain"), start("--trace", "--trace")
	if err := race([]*runner{silent, told, traced}, max(*rounds, interleaved)); err != nil {
		return err
	}
	t.compare("`glassbox run --rm --explain`", told, silent, 1.1, "< 1.1")
	t.compare("`glassbox run --rm --trace`", traced, silent, 0, "")
	return nil
}
