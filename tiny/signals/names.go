package signals

import (
	"strconv"
	"strings"
	"syscall"
)

// names are in the order of their numbers, from 1 (signal(7), x86 and ARM).
var names = [...]string{"HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
	"ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
	"IO", "PWR", "SYS"}

// Name is the signal's name without SIG, or its number.
func Name(sig syscall.Signal) string {
	if sig >= 1 && int(sig) <= len(names) {
		return names[sig-1]
	}
	return strconv.Itoa(int(sig))
}

// Parse reads a name with or without SIG, in any case, or a number; 0 (EXIT) is a signal that only asks.
func Parse(word string) (syscall.Signal, bool) {
	if n, err := strconv.Atoi(word); err == nil {
		return syscall.Signal(n), n >= 0 && n <= last
	}
	word = strings.TrimPrefix(strings.ToUpper(word), "SIG")
	switch word {
	case "EXIT":
		return 0, true
	case "IOT":
		return syscall.SIGABRT, true
	case "POLL":
		return syscall.SIGIO, true
	case "CLD":
		return syscall.SIGCHLD, true
	}
	for i, name := range names {
		if name == word {
			return syscall.Signal(i + 1), true
		}
	}
	return 0, false
}

// Count is the number of signals that have names.
func Count() int { return len(names) }

// Death is what a shell prints when a command was ended by the signal: nothing for the two that a user causes every minute.
func Death(sig syscall.Signal) string {
	switch sig {
	case syscall.SIGINT, syscall.SIGPIPE:
		return ""
	}
	text := sig.String()
	return strings.ToUpper(text[:1]) + text[1:]
}
