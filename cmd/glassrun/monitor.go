package main

import (
	"errors"

	"glassbox/monitor"
)

func runMonitor(args []string) error {
	adopt := len(args) > 0 && args[0] == "--adopt"
	if adopt {
		args = args[1:]
	}
	if len(args) != 1 {
		return errors.New("monitor: want one argument, the container's state directory")
	}
	return monitor.Run(args[0], adopt)
}
