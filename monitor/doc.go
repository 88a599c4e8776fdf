// Package monitor is the process that stays with one container: it starts it and its execs, reaps, keeps output, remembers the end.
package monitor
