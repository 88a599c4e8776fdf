package linux

// Call is the signature of one system call: how strace prints its arguments and its result.
type Call struct {
	Number   uintptr
	Name     string
	Args     []Argument
	By       int       // index of the argument that selects a variant
	Variants []Variant // what the arguments after By are, for some of its values; otherwise Args says it
	Result   Result
}

// Variant is one of the calls that share a number, such as prctl(PR_SET_NAME, ...).
type Variant struct {
	Value  uint64
	Args   []Argument // all that follow the selecting argument
	Result Result
}

// Argument is one register of a call.
type Argument struct {
	Form    Form
	Names   Names
	Unknown string // the comment after a number that Names does not have
	Size    int    // which argument (counted from 1) holds the size of what this one points to
}

// Form says what a register holds and how that is written.
type Form uint8

const (
	Hexadecimal Form = iota // 64 bits
	Hex32                   // 32 bits
	Integer                 // int
	Long                    // 64 bits, signed
	Unsigned                // 64 bits
	Unsigned32
	Mode       // octal permissions
	CreateMode // the same, there only if the flags before it create a file
	FileMode   // file type and permissions, as mknod takes them
	Device     // major and minor number, there only if the mode before it is a device's
	DirFd      // a descriptor, or AT_FDCWD
	Fd
	Pid
	ID // a user or group; -1 means no change
	SignalNumber
	Set       // Names joined, 32 bits
	Set64     // Names joined
	One       // one of Names, 32 bits
	One64     // one of Names
	SignedOne // one of Names, else a signed number
	Open      // access mode and flags of openat
	Address   // a pointer that is not followed
	MountType // a string, but ignored when a mount is bound, moved or changed
	MountData // the same
	PathName  // a string of at most PATH_MAX
	String
	String256  // a string of which 256 bytes are shown
	TaskName   // a string of which 15 bytes are shown
	HostName   // bytes, at most 64
	Data       // bytes
	HexData    // bytes, all in hexadecimal
	DataOut    // bytes that the kernel writes; the result is their number
	Strings    // argv, envp
	IntegerAt  // pointer to an int
	IntegerOut // pointer to an int that the kernel writes
	PairOut    // pointer to two descriptors that the kernel writes
	IDOut      // pointer to a user or group that the kernel writes
	PersonalityType
	PersonalityOut
	IoPriority
	SocketType
	SocketProtocol
	IoctlCode
	CapabilityHeader
	CapabilityData
	CapabilityOut
	CloneArgs
	OpenHow
	MountAttr
	Rlimit
	RlimitOut
	SchedAttr
	CPUSet
	NodeSet
	MemoryPolicy
	Groups
	SignalSet
	SignalSetOut
	SignalAction
	SignalActionOut
	SignalInfo
	Timespec
	FilterProgram
	LandlockRuleset
	LandlockPath
	StatfsOut
	Winsize
	WinsizeOut
	Interface         // struct ifreq with flags to set
	InterfaceOut      // struct ifreq whose flags the kernel writes
	AmbientCapability // a capability, where the action before it takes one

	// What only ordinary programs ask for.
	Pointer       // an address that is a place, not something to look at
	HexDataOut    // bytes that the kernel writes, in hexadecimal
	PathOut       // a path with its NUL that the kernel writes; the result is its length
	StatOut       // struct stat that the kernel writes
	UtsnameOut    // struct utsname that the kernel writes
	TimespecOut   // struct timespec that the kernel writes
	TaskNameOut   // a task's name that the kernel writes
	WaitStatusOut // a process's end, as wait(2) has it
	SocketAddress // struct sockaddr
	Vector        // array of struct iovec, whose bytes are read
	CloneWord     // clone(2)'s, with the signal in the lowest byte
)

// Result says how a call's return value is written.
type Result struct {
	Form   ResultForm
	Names  Names
	Prefix string // before the names in parentheses
}

// ResultForm is the notation of a return value.
type ResultForm uint8

const (
	Decimal    ResultForm = iota
	OctalMode             // umask
	HexSet                // 0x1 (flags FD_CLOEXEC)
	HexOpen               // 0x8000 (flags O_RDONLY|O_LARGEFILE)
	DecimalOne            // 1 (SUID_DUMP_USER)
	HexPersonality
	HexNumber // an address
	Never     // it does not return
)

// Lookup returns the signature of the system call of this number, nil for one that no table has.
func Lookup(number uintptr) *Call {
	for _, table := range [...][]Call{calls[:], legacy[:], ordinary[:], ordinaryLegacy[:]} {
		for i := range table {
			if table[i].Number == number {
				return &table[i]
			}
		}
	}
	return nil
}

// Ordinary says whether only programs in containers make the call of this number, and no start.
func Ordinary(number uintptr) bool {
	c := Lookup(number)
	for _, table := range [...][]Call{ordinary[:], ordinaryLegacy[:]} {
		for i := range table {
			if c == &table[i] {
				return true
			}
		}
	}
	return false
}

// Of returns the arguments and result of a call whose selecting argument has this value.
func (c *Call) Of(value uint64) ([]Argument, Result) {
	for i := range c.Variants {
		if v := &c.Variants[i]; v.Value == value {
			return v.Args, v.Result
		}
	}
	return c.Args[c.By+1:], c.Result
}
