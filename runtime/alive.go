package runtime

import (
	"bytes"
	"fmt"
	"strconv"

	"glassbox/store"
)

// Began is when a process was made, in clock ticks since the boot: another one of its number has another.
func Began(pid int) (uint64, error) {
	_, began, err := stat(pid)
	return began, err
}

// Alive says whether the process that has this number and began then is there, and is no zombie.
func Alive(pid int, began uint64) bool {
	state, since, err := stat(pid)
	return err == nil && since == began && state != 'Z' && state != 'X'
}

// stat reads state (field 3) and starttime (field 22).
func stat(pid int) (state byte, began uint64, err error) {
	fields, err := Stat(pid)
	if err != nil {
		return 0, 0, err
	}
	began, err = strconv.ParseUint(string(fields[19]), 10, 64)
	return fields[0][0], began, err
}

// Stat is proc_pid_stat(5) from the third field on. The second, the name in parentheses, may hold blanks and parentheses itself, so fields
// are counted from the last one.
func Stat(pid int) ([][]byte, error) {
	path := "/proc/" + strconv.Itoa(pid) + "/stat"
	b, err := store.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return nil, fmt.Errorf("reading %s: %d fields after the name, want 20", path, len(fields))
	}
	return fields, nil
}
