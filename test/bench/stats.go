package main

import (
	"fmt"
	"time"
)

// watched: `stats --no-stream` of many running containers. It measures each of them twice, half a second apart.
func watched(r *rig, t *table) error {
	const many, goal = 200, time.Second
	var names []string
	defer func() { run(glassbox(append([]string{"rm", "-f"}, names...)...)) }()
	for i := range many {
		names = append(names, fmt.Sprintf("watched%d", i))
		if err := run(glassbox("run", "-d", "--name", names[i], "--network", "none", r.bb(), "sleep", "100000")); err != nil {
			return err
		}
	}
	ours := &runner{name: "a second", argv: always(glassbox("stats", "--no-stream")...)}
	if err := race([]*runner{ours}, *rounds); err != nil {
		return err
	}
	t.add(fmt.Sprintf("`glassbox stats --no-stream` of %d", many), spread(ours), "", milliseconds(ours.median()), "< 1 s", ours.median() < goal)
	return nil
}
