package firewall

import (
	"bytes"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// owned leaves out what is not ours to take away: a port that another container was given meanwhile, after ours ended without a
// word. What the table holds for it is looked up first; the generation of the rules at that time makes sure that the transaction changes
// nothing else.
func (w *wire) owned(changes []change) ([]change, []byte, error) {
	var doubtful []int
	questions := []netlink.Message{question(unix.NFT_MSG_GETGEN, []byte{0, unix.NFNETLINK_V0, 0, 0})}
	for i, c := range changes {
		if !c.away || c.anyway || c.element.claim() == nil {
			continue
		}
		q, err := c.element.claim().question()
		if err != nil {
			return nil, nil, err
		}
		doubtful, questions = append(doubtful, i), append(questions, q)
	}
	if len(doubtful) == 0 {
		return changes, nil, nil
	}
	answers, err := w.ask(questions)
	if err != nil {
		return nil, nil, err
	}
	lost := map[int]bool{}
	for n, i := range doubtful {
		lost[i] = !bytes.Equal(answers[n+1].attribute(valuePath...), packed(changes[i].element.claim().value))
	}
	var ours []change
	for i, c := range changes {
		if !lost[i] {
			ours = append(ours, c)
		}
	}
	return ours, answers[0].attribute(unix.NFTA_GEN_ID), nil
}

// valuePath is where a message about one element of a map has its value.
var valuePath = []uint16{unix.NFTA_SET_ELEM_LIST_ELEMENTS, unix.NFTA_LIST_ELEM, unix.NFTA_SET_ELEM_DATA, unix.NFTA_DATA_VALUE}

// claim is the element that tells whose this one is: that of a map which sends a port to a container.
func (e element) claim() *element {
	if e.part != nil {
		return e.part
	}
	switch e.set {
	case published4, published6, everywhere4, everywhere6:
		return &e
	}
	return nil
}

// question asks for one element: the message is the one that would delete it, but for its type.
func (e element) question() (netlink.Message, error) {
	messages, err := messagesOf(func(c *nftables.Conn) error { return c.SetDeleteElements(e.set.nft(), e.nft()) })
	if err != nil {
		return netlink.Message{}, err
	}
	return question(unix.NFT_MSG_GETSETELEM, messages[1].Data), nil
}
