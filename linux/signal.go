package linux

import "strconv"

// firstRealtime is the kernel's SIGRTMIN; that of the C library is higher.
const firstRealtime, lastSignal = 32, 64

// Signal is the name of a signal, empty where there is none of this number.
func Signal(number int) string {
	switch {
	case number <= 0 || number > lastSignal:
		return ""
	case number > firstRealtime:
		return "SIGRT_" + strconv.Itoa(number-firstRealtime)
	}
	return signals[number]
}

var signals = [firstRealtime + 1]string{
	1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL",
	5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
	9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2",
	13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 16: "SIGSTKFLT",
	17: "SIGCHLD", 18: "SIGCONT", 19: "SIGSTOP", 20: "SIGTSTP",
	21: "SIGTTIN", 22: "SIGTTOU", 23: "SIGURG", 24: "SIGXCPU",
	25: "SIGXFSZ", 26: "SIGVTALRM", 27: "SIGPROF", 28: "SIGWINCH",
	29: "SIGIO", 30: "SIGPWR", 31: "SIGSYS", 32: "SIGRTMIN",
}

// SignalMaskActions are what rt_sigprocmask(2) does with the set.
var SignalMaskActions = Names{{0, "SIG_BLOCK"}, {1, "SIG_UNBLOCK"}, {2, "SIG_SETMASK"}}

// SignalHandlers are the handlers that are no address.
var SignalHandlers = Names{{1<<64 - 1, "SIG_ERR"}, {0, "SIG_DFL"}, {1, "SIG_IGN"}}

// SignalCodes are siginfo.si_code of signals that a process sent.
var SignalCodes = Names{
	{0, "SI_USER"}, {0x80, "SI_KERNEL"}, {0xffffffff, "SI_QUEUE"}, {0xfffffffe, "SI_TIMER"}, {0xfffffffd, "SI_MESGQ"},
	{0xfffffffc, "SI_ASYNCIO"}, {0xfffffffb, "SI_SIGIO"}, {0xfffffffa, "SI_TKILL"},
}

// SignalActionFlags are sigaction.sa_flags.
var SignalActionFlags = Names{
	{0x04000000, "SA_RESTORER"}, {0x08000000, "SA_ONSTACK"}, {0x10000000, "SA_RESTART"}, {0x40000000, "SA_NODEFER"},
	{0x80000000, "SA_RESETHAND"}, {4, "SA_SIGINFO"}, {1, "SA_NOCLDSTOP"}, {2, "SA_NOCLDWAIT"},
}
