package firewall

import (
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// question is a message that changes nothing.
func question(kind int, data []byte) netlink.Message {
	return netlink.Message{Data: data, Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind),
		Flags: netlink.Request, Length: uint32(unix.SizeofNlMsghdr + len(data))}}
}

// ask sends questions and returns the answers in their order. Only that something is not there is no error.
func (w *wire) ask(questions []netlink.Message) ([]answer, error) {
	if err := w.send(questions); err != nil {
		return nil, err
	}
	all := make([]answer, len(questions))
	for seen := 0; seen < len(questions); {
		answers, err := w.receive()
		if err != nil {
			return nil, err
		}
		for _, a := range answers {
			if errno := a.errno(); errno != 0 && errno != unix.ENOENT {
				return nil, fmt.Errorf("asking nftables: %w", errno)
			}
			if a.to < len(all) {
				all[a.to] = a
				seen++
			}
		}
	}
	return all, nil
}

// attribute finds one in b.
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
