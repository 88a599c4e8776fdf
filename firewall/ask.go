package firewall

import (
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// question is a message that changes nothing.
func question(kind, sequence int, data []byte) netlink.Message {
	return netlink.Message{Data: data, Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind),
		Flags: netlink.Request, Sequence: uint32(sequence), Length: uint32(unix.SizeofNlMsghdr + len(data))}}
}

// reply is the kernel's answer to one question.
type reply struct{ netlink.Message }

// ask sends questions, numbered from 0, and returns the answers in their order. Only that something is not there is no error.
func (w *wire) ask(questions []netlink.Message) ([]reply, error) {
	if err := w.send(questions); err != nil {
		return nil, err
	}
	answers := make([]reply, len(questions))
	for seen := 0; seen < len(questions); {
		messages, err := w.receive()
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			if m.Header.Type == netlink.Error && errnoOf(m) != unix.ENOENT {
				return nil, fmt.Errorf("asking nftables: %w", errnoOf(m))
			}
			if n := int(m.Header.Sequence); n < len(answers) {
				answers[n] = reply{m}
				seen++
			}
		}
	}
	return answers, nil
}

// attribute finds one, in attributes in one another along the path; nil when it is not there.
func attribute(b []byte, path ...uint16) []byte {
	d, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return nil
	}
	for d.Next() {
		if d.Type() != path[0] {
			continue
		}
		if len(path) == 1 {
			return d.Bytes()
		}
		return attribute(d.Bytes(), path[1:]...)
	}
	return nil
}
