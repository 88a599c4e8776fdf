package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// questions a second, and for how long.
const questionRate, questionTime = 10_000, 2 * time.Second

// askMany asks 127.0.0.11 for one name at an even rate from one socket, and writes the median and the 99th percentile of the answers'
// times in nanoseconds, and how many were answered and asked.
func askMany(name string, w io.Writer) error {
	c, err := net.Dial("udp", "127.0.0.11:53")
	if err != nil {
		return err
	}
	defer c.Close()
	q := questions{conn: c, sent: make([]time.Time, 1<<16)}
	if q.packet, err = question(name); err != nil {
		return err
	}
	var both sync.WaitGroup
	both.Go(q.listen)
	asked, err := q.ask()
	if err != nil {
		return err
	}
	both.Wait()
	if len(q.took) == 0 {
		return fmt.Errorf("nothing was answered")
	}
	slices.Sort(q.took)
	_, err = fmt.Fprintln(w, int64(q.took[len(q.took)/2]), int64(q.took[len(q.took)*99/100]), len(q.took), asked)
	return err
}

func question(name string) ([]byte, error) {
	n, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return nil, err
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	return m.Pack()
}

// questions are in flight; their ids are indices of sent.
type questions struct {
	conn   net.Conn
	packet []byte
	mu     sync.Mutex
	sent   []time.Time
	took   []time.Duration
}

// ask sends what is due every 200 microseconds.
func (q *questions) ask() (asked int, err error) {
	begin := time.Now()
	for since := time.Duration(0); since < questionTime; since = time.Since(begin) {
		for due := int(since.Seconds() * questionRate); asked < due; asked++ {
			id := uint16(asked)
			binary.BigEndian.PutUint16(q.packet, id)
			q.mu.Lock()
			q.sent[id] = time.Now()
			q.mu.Unlock()
			if _, err := q.conn.Write(q.packet); err != nil {
				return asked, err
			}
		}
		time.Sleep(200 * time.Microsecond)
	}
	return asked, nil
}

// listen takes answers until none has come for half a second.
func (q *questions) listen() {
	b := make([]byte, 1500)
	for {
		q.conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := q.conn.Read(b)
		if err != nil {
			return
		}
		now := time.Now()
		// Code 0 and at least one answer: the header of RFC 1035, 4.1.1.
		if n < 12 || b[3]&0xf != 0 || binary.BigEndian.Uint16(b[6:]) == 0 {
			continue
		}
		q.mu.Lock()
		q.took = append(q.took, now.Sub(q.sent[binary.BigEndian.Uint16(b)]))
		q.mu.Unlock()
	}
}
