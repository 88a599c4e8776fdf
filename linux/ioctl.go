package linux

import "golang.org/x/sys/unix"

// Numbers of ioctl(2) requests that x/sys/unix does not have.
const (
	nsGetUserns   = 0xb701 // ioctl_ns(2)
	nsGetParent   = 0xb702
	nsGetNstype   = 0xb703
	nsGetOwnerUID = 0xb704
	tiocGPTPeer   = 0x5441 // ioctl_tty(2)
	fionread      = 0x541b
	fionbio       = 0x5421
	fionclex      = 0x5450
	fioclex       = 0x5451
)

// IoctlCodes are requests of ioctl(2).
var IoctlCodes = Names{
	{unix.TIOCSCTTY, "TIOCSCTTY"}, {unix.TIOCNOTTY, "TIOCNOTTY"}, {unix.TIOCGWINSZ, "TIOCGWINSZ"}, {unix.TIOCSWINSZ, "TIOCSWINSZ"},
	{tiocGPTPeer, "TIOCGPTPEER"}, {unix.TIOCSPTLCK, "TIOCSPTLCK"}, {unix.TIOCGPTN, "TIOCGPTN"}, {unix.TIOCSPGRP, "TIOCSPGRP"},
	{unix.TIOCGPGRP, "TIOCGPGRP"}, {fionread, "FIONREAD"}, {fionbio, "FIONBIO"}, {fioclex, "FIOCLEX"}, {fionclex, "FIONCLEX"},
	{unix.SIOCSIFFLAGS, "SIOCSIFFLAGS"}, {unix.SIOCGIFFLAGS, "SIOCGIFFLAGS"},
	{nsGetUserns, "NS_GET_USERNS"}, {nsGetParent, "NS_GET_PARENT"}, {nsGetNstype, "NS_GET_NSTYPE"}, {nsGetOwnerUID, "NS_GET_OWNER_UID"},
}

// IoctlDirections are the direction bits of a request.
var IoctlDirections = Names{{0, "_IOC_NONE"}, {2, "_IOC_READ"}, {1, "_IOC_WRITE"}}

var ioctl = []Variant{
	{Value: unix.TIOCSCTTY, Args: []Argument{integer}},
	{Value: unix.TIOCNOTTY},
	{Value: unix.TIOCGWINSZ, Args: []Argument{{Form: WinsizeOut}}},
	{Value: unix.TIOCSWINSZ, Args: []Argument{{Form: Winsize}}},
	{Value: unix.TIOCSPTLCK, Args: []Argument{{Form: IntegerAt}}},
	{Value: unix.TIOCGPTN, Args: []Argument{{Form: IntegerOut}}},
	{Value: unix.TIOCSPGRP, Args: []Argument{{Form: IntegerAt}}},
	{Value: unix.TIOCGPGRP, Args: []Argument{{Form: IntegerOut}}},
	{Value: fionread, Args: []Argument{{Form: IntegerOut}}},
	{Value: fionbio, Args: []Argument{{Form: IntegerAt}}},
	{Value: fioclex},
	{Value: fionclex},
	{Value: unix.SIOCSIFFLAGS, Args: []Argument{{Form: Interface}}},
	{Value: unix.SIOCGIFFLAGS, Args: []Argument{{Form: InterfaceOut}}},
	{Value: nsGetUserns},
	{Value: nsGetParent},
	{Value: nsGetNstype, Result: Result{Form: DecimalOne, Names: Namespaces}},
	{Value: nsGetOwnerUID, Args: []Argument{{Form: IDOut}}},
}
