package monitor

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"strconv"

	"glassbox/cgroups"
	"glassbox/program"
	"glassbox/runtime"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A conversation with a monitor, over DIR/sock or over the descriptor 3 that it was started with. Requests and replies are
// lines of JSON; each request gets one reply, in order.
//
//	client                                     monitor
//	  |  DIR\n (on descriptor 3 only) ------>   |  the directory is complete: begin
//	  |                                          |  (on descriptor 3 only, when the process exists
//	  |  <------------------- {"Pid":4711}       |  and will make its file tree, or is adopted,
//	  |  <------------------- {"Pid":4711}       |  and again at the gate `created`)
//	  |  {"Do":"cleanup"} ------------------->   |  I shall clean up; if I vanish, you do it
//	  |  <------------------------------- {}     |
//	  |  {"Do":"start"} --------------------->   |  open the gate
//	  |  <------- {} or {"Error":{"Text":...}}   |  execve has happened, or not
//	  |  {"Do":"wait"} ---------------------->   |
//	  |  <--------------------- {"Exit":0}       |  when it has ended and its output is drained
//	  |  <------------------ {"Stop":{...}}       |  only while somebody steps through a start or exec: before each call
//	  |  {"Do":"go"} ------------------------>   |  or "skip", or "quit", which ends the start
//	  |  {"Do":"cancel"} -------------------->   |  should the container wait for a restart: no more
//	  |  {"Do":"cleaned"} ------------------->   |  nothing is left to do, but to close files that came along and to delete Links
//	  |  or {"Do":"sweep"} ------------------>   |  the container is no more: only its directories are left to delete
//
// After "attach", and after "exec" without Detach, both directions become frames, as in Docker's stdcopy: eight bytes of
// header and then the payload.
//
//	byte 0      1 2 3     4 5 6 7                 8 ...
//	  stream    0 0 0     length, big endian      payload
//
//	0  standard input, to the monitor; of length 0: it has ended
//	1  standard output, or what the terminal shows
//	2  standard error
//	3  control, JSON: {"Resize":{"Rows":24,"Cols":80}} to the monitor, {"Exit":0} to the client, which is the last frame
//
// A client detaches by closing the connection.

type request struct {
	Do     string      // start attach exec resize signal wait state frozen cleanup cleaned sweep; go skip quit answer a stop
	Exec   string      `json:",omitempty"` // which exec; empty: the container's first process
	Signal int         `json:",omitempty"`
	Size   *Size       `json:",omitempty"`
	Attach *AttachSpec `json:",omitempty"`
	Run    *ExecSpec   `json:",omitempty"`
	Links  []string    `json:",omitempty"` // of cleaned and sweep: interfaces to delete
	Text   string      `json:",omitempty"` // of quit: the error that the start ends with
}

// encode writes the short replies by hand: the first use of encoding/json with this type takes longer than a system call or two
// hundred, and leaves traces in memory.
func (r reply) encode() ([]byte, error) {
	switch {
	case r.State != nil || r.Account != nil || r.Error != nil || r.Stop != nil:
		return json.Marshal(r)
	case r.Exit != nil:
		return []byte(`{"Exit":` + strconv.Itoa(*r.Exit) + `}`), nil
	case r.Pid != 0:
		return []byte(`{"Pid":` + strconv.Itoa(r.Pid) + `,"ID":"` + string(store.AppendJSON(nil, []byte(r.ID))) + `"}`), nil
	}
	return []byte(`{}`), nil
}

func (r request) size() Size {
	if r.Size == nil {
		return Size{}
	}
	return *r.Size
}

type reply struct {
	Pid     int               `json:",omitempty"`
	ID      string            `json:",omitempty"`
	State   *State            `json:",omitempty"`
	Exit    *int              `json:",omitempty"`
	Account []program.Account `json:",omitempty"`
	Error   *Error            `json:",omitempty"`
	Stop    *program.Stop     `json:",omitempty"` // a question, and no reply yet
}

type control struct {
	Resize *Size `json:",omitempty"`
	Exit   *int  `json:",omitempty"`
}

// Size is a terminal's size in characters.
type Size struct{ Rows, Cols uint16 }

// AttachSpec says which streams of the container's first process a client wants. Earlier output is not repeated: it is in
// the log.
//
// A client that does not read holds the container back, as a full pipe does. Patient ones, which are part of a pipeline
// (`glassbox run IMAGE | less`), are waited for as long as they are connected; others are cut off when they have not read
// anything for ten seconds while output was waiting.
type AttachSpec struct {
	Stdin, Stdout, Stderr bool
	Patient               bool
}

// ExecSpec is a further process in the container.
type ExecSpec struct {
	ID      string // 64 hexadecimal digits; empty: the monitor makes one up
	Process specs.Process
	Stdin   bool // keep standard input open; otherwise the process reads end-of-file
	Detach  bool // no stream: what it writes is thrown away
	Explain bool // keep times and return the account
	Step    bool // ask before each call
}

// Error is an error that crossed the connection. It keeps its place: errors.As finds the *program.Failure of a step, the
// *program.HostFailure of a request (without its functions) or the *cgroups.LimitError; errors.Is finds the errno.
type Error struct {
	Text    string
	Failure *program.Failure    `json:",omitempty"`
	Host    *hostFailure        `json:",omitempty"`
	Limit   *cgroups.LimitError `json:",omitempty"`
	Errno   unix.Errno          `json:",omitempty"`
	Account []program.Account   `json:",omitempty"` // what had been asked of the kernel, for Config.Explain
}

// hostFailure is what can be sent of a program.HostFailure.
type hostFailure struct{ Call, From, Why string }

func (e *Error) Error() string { return e.Text }

// Unwrap gives what errors.As and errors.Is look for.
func (e *Error) Unwrap() []error {
	var inner []error
	if e.Failure != nil {
		inner = append(inner, e.Failure)
	}
	if e.Host != nil {
		r := program.Request{Call: e.Host.Call, From: e.Host.From, Why: e.Host.Why}
		inner = append(inner, &program.HostFailure{Request: r, Err: e.Errno})
	}
	if e.Limit != nil {
		inner = append(inner, e.Limit)
	}
	if e.Errno != 0 {
		inner = append(inner, e.Errno)
	}
	return inner
}

func wireError(err error) *Error {
	e := &Error{Text: err.Error()}
	errors.As(err, &e.Failure)
	errors.As(err, &e.Limit)
	errors.As(err, &e.Errno)
	if host := (*program.HostFailure)(nil); errors.As(err, &host) {
		e.Host = &hostFailure{host.Request.Call, host.Request.From, host.Request.Why}
	}
	if u := (*runtime.Unfinished)(nil); errors.As(err, &u) {
		e.Account = u.Account
	}
	return e
}

// The kinds of frames.
const (
	Stdin byte = iota
	Stdout
	Stderr
	Control
)

const headerSize = 8

// largest is the longest payload of one frame.
const largest = 64 << 10

func appendFrame(dst []byte, kind byte, payload []byte) []byte {
	dst = append(dst, kind, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	return append(dst, payload...)
}

// exitFrame is the last frame.
func exitFrame(code int) []byte {
	return appendFrame(nil, Control, []byte(`{"Exit":`+strconv.Itoa(code)+`}`))
}
