package linux

// Size is how many bytes lie at an argument of this form: what the kernel reads or writes there. 0: another argument says it, or it is no memory.
func (f Form) Size() int {
	switch f {
	case IntegerAt, IntegerOut, IDOut, WaitStatusOut, PersonalityOut:
		return 4
	case PairOut, CapabilityHeader, Winsize, WinsizeOut, SignalSet, SignalSetOut:
		return 8
	case Rlimit, RlimitOut, Timespec, TimespecOut, TaskNameOut:
		return 16
	case CapabilityData, CapabilityOut:
		return 24
	case SignalAction, SignalActionOut:
		return 32
	case Interface, InterfaceOut:
		return 40
	case StatfsOut:
		return 120
	case SignalInfo:
		return 128
	case StatOut:
		return statSize
	case UtsnameOut:
		return 6 * 65
	}
	return 0
}

// Fills says whether the kernel writes there.
func (f Form) Fills() bool {
	switch f {
	case DataOut, HexDataOut, PathOut, IntegerOut, PairOut, IDOut, PersonalityOut, CapabilityOut, RlimitOut, SignalSetOut, SignalActionOut, StatfsOut,
		WinsizeOut, InterfaceOut, StatOut, UtsnameOut, TimespecOut, TaskNameOut, WaitStatusOut:
		return true
	}
	return false
}
