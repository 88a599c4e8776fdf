package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
)

// human words a value of a group's file.
func human(file, value string) string {
	number, known := amount(value)
	switch {
	case value == "max" || value == "max 100000":
		return "no limit"
	case file == "cpu.max":
		var quota, period float64
		if n, _ := fmt.Sscan(value, &quota, &period); n == 2 && period > 0 {
			return strconv.FormatFloat(quota/period, 'g', 3, 64) + " processors"
		}
	case known && (strings.HasPrefix(file, "memory.") || strings.HasPrefix(file, "hugetlb.")):
		return units.BytesSize(float64(number))
	}
	return strings.ReplaceAll(value, "\n", ", ")
}

// humanUse words how much is used of what a file bounds.
func humanUse(file, used string) string {
	number, known := amount(used)
	switch {
	case !known:
		return used
	case file == "cpu.max":
		return (time.Duration(number) * time.Microsecond).Round(time.Millisecond).String()
	case file == "pids.max":
		return used
	}
	return units.BytesSize(float64(number))
}

// states are the letters of proc_pid_stat(5).
func stateWord(letter string) string {
	switch letter {
	case "R":
		return "running"
	case "S":
		return "sleeping"
	case "D":
		return "waiting"
	case "Z":
		return "ZOMBIE"
	case "T":
		return "stopped"
	case "t":
		return "traced"
	case "I":
		return "idle"
	}
	return letter
}

// id is a user's number, as those who look from the other side know it.
func id(n int) string {
	switch n {
	case 0:
		return "0 root"
	case -1:
		return "none"
	}
	return strconv.Itoa(n)
}

// orNone is a number where 0 means that there is none.
func orNone(n int) string {
	if n == 0 {
		return "none"
	}
	return strconv.Itoa(n)
}

func same(is bool) string {
	if is {
		return "same"
	}
	return "different"
}

func up(is bool) string {
	if is {
		return "up"
	}
	return "DOWN"
}

// several is "1 filter", "2 filters".
func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
