package firewall

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"glassbox/program"
)

// ErrNoTable says that the table is not there, or not whole: Rebuild makes it.
var ErrNoTable = errors.New("the nftables table glassbox is missing or not whole")

// Batch collects changes; Request makes one transaction of them. A batch that finds the table missing fails with ErrNoTable. What is
// added may be there already; an element with another value is a leftover, since who publishes a port has bound it before, and
// is replaced. What is taken away need not be there.
type Batch struct {
	changes []change

	// Keep is given the transaction's socket instead of its being closed, if set. After a batch that took something away, closing it
	// waits ten milliseconds and more until the kernel has freed that (nf_tables waits for readers of the rules to be done: RCU): whoever
	// ends the socket, be it another process that it was sent to, does the waiting.
	Keep func(socket *os.File)
}

// change is one element that comes or goes.
type change struct {
	away    bool
	element element
	anyway  bool // it goes whoever has it
}

func (b *Batch) AddNetwork(n Network)    { b.note(false, n.elements()) }
func (b *Batch) RemoveNetwork(n Network) { b.note(true, n.elements()) }
func (b *Batch) AddMember(m Member)      { b.note(false, m.elements()) }
func (b *Batch) RemoveMember(m Member)   { b.note(true, m.elements()) }
func (b *Batch) Publish(p Port)          { b.note(false, p.elements()) }
func (b *Batch) Empty() bool             { return len(b.changes) == 0 }

// Withdraw takes away a port that is still published for this container: what is another's by now stays.
func (b *Batch) Withdraw(p Port) { b.note(true, p.elements()) }

// note leaves out what the batch does already: ports of one container may share an element, and what was deleted once is missing then.
func (b *Batch) note(away bool, elements []element) {
	for _, e := range elements {
		c := change{away: away, element: e}
		if !slices.ContainsFunc(b.changes, func(d change) bool { return d.away == away && d.element.same(e) }) {
			b.changes = append(b.changes, c)
		}
	}
}

// Request is the batch as one transaction; Undo is the opposite one.
func (b *Batch) Request(from, why string) program.Request {
	changes, keep := slices.Clone(b.changes), b.Keep
	return program.Request{
		Call: told(changes), From: from, Why: why,
		Do:   func() error { return carry(changes, keep) },
		Undo: func() error { return carry(opposite(changes), nil) },
	}
}

func told(changes []change) string {
	var b strings.Builder
	for _, c := range changes {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

func (c change) String() string {
	verb := "add"
	if c.away {
		verb = "delete"
	}
	return fmt.Sprintf("%s element %s %s %s { %s }", verb, families[c.element.set.family], tableName, c.element.set.name, c.element.words())
}

func opposite(changes []change) []change {
	var back []change
	for _, c := range slices.Backward(changes) {
		back = append(back, change{away: !c.away, element: c.element})
	}
	return back
}

// patience is how long a transaction is tried again that met another's, or an element in an unexpected state.
const patience = 10 * time.Second

// tries counts attempts. Between them is a pause by chance, so that two which met do not meet again.
type tries struct {
	n     int
	until time.Time
}

func (t *tries) more() bool {
	if t.n == 0 {
		t.until = time.Now().Add(patience)
	} else {
		time.Sleep(rand.N(time.Duration(min(t.n, 20)) * time.Millisecond))
	}
	t.n++
	return time.Now().Before(t.until)
}

// carry sends the changes as one transaction. The kernel refuses all of it when an element to delete is missing (to destroy it
// would be tolerated since Linux 6.3), or when one to add is there with another value; it names each such message, so that the next
// attempt is without them.
func carry(changes []change, keep func(*os.File)) error {
	w, err := dial()
	if err != nil {
		return err
	}
	defer w.part(keep)
	var t tries
	for t.more() {
		owned, generation, err := w.owned(changes)
		if err != nil || len(owned) == 0 {
			return err
		}
		messages, err := messagesOf(func(c *nftables.Conn) error { return write(c, owned) })
		if err != nil {
			return err
		}
		refusals, err := w.transact(messages, generation)
		if err != nil || len(refusals) == 0 {
			return err
		}
		if changes, err = settle(owned, refusals); err != nil {
			return err
		}
	}
	return fmt.Errorf("changing the nftables table %s: others changed it %d times at the same time", tableName, t.n)
}

func write(c *nftables.Conn, changes []change) error {
	for _, ch := range changes {
		var err error
		if ch.away {
			err = c.SetDeleteElements(ch.element.set.nft(), ch.element.nft())
		} else {
			err = c.SetAddElements(ch.element.set.nft(), ch.element.nft())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settle changes what was refused such that the next attempt can succeed.
func settle(changes []change, refusals map[int]unix.Errno) ([]change, error) {
	var next []change
	for i, c := range changes {
		switch errno := refusals[i]; {
		case errno == 0 || passing(errno):
			next = append(next, c)
		case c.away && errno == unix.ENOENT:
		case errno == unix.ENOENT:
			return nil, ErrNoTable
		case errno == unix.EEXIST && c.element.value != nil && !c.away:
			next = append(next, change{away: true, element: c.element, anyway: true}, c)
		case errno == unix.EEXIST && c.element.set.interval && !c.away: // the rest of a network that is gone
			return nil, fmt.Errorf("%s: overlaps what is there: %w", c, ErrNoTable)
		default:
			return nil, fmt.Errorf("%s: %w", c, errno)
		}
	}
	if errno := refusals[whole]; errno != 0 && !passing(errno) {
		return nil, fmt.Errorf("changing the nftables table %s: %w", tableName, errno)
	}
	return next, nil
}

// passing are the errors of transactions that met at the same time.
func passing(e unix.Errno) bool {
	return e == unix.EAGAIN || e == unix.EINTR || e == unix.EBUSY || e == unix.ERESTART
}
