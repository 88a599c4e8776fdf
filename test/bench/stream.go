package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// What the ends spend on copying would hide what the way between them costs: the sender sends a file's pages, the receiver throws away
// unseen what arrives, and there are streams enough for every CPU.
const (
	streamPort = "5300"
	streamTime = time.Second
	streamFile = 1 << 20
)

// serveStreams counts what arrives and answers each client with the number of bytes, for ever.
func serveStreams() error {
	l, err := net.Listen("tcp", ":"+streamPort)
	if err != nil {
		return err
	}
	unread := make([]byte, streamFile) // one for all: nothing is ever written there
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			n, err := discard(c.(*net.TCPConn), unread)
			if err == nil {
				binary.Write(c, binary.BigEndian, n) //nolint:errcheck // the client will miss it
			}
		}()
	}
}

// discard reads to the end; tcp(7): with MSG_TRUNC the bytes are not copied.
func discard(c *net.TCPConn, b []byte) (n int64, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	for err == nil {
		var got int
		var failed error
		err = raw.Read(func(fd uintptr) bool {
			got, _, failed = unix.Recvfrom(int(fd), b, unix.MSG_TRUNC)
			return failed != unix.EAGAIN
		})
		n += int64(got)
		if err = errors.Join(err, failed); err == nil && got == 0 {
			return n, nil
		}
	}
	return n, err
}

// sendStreams sends to an address over several connections and writes how many bits arrived in a second.
func sendStreams(address string, w io.Writer) error {
	file, err := zeros()
	if err != nil {
		return err
	}
	defer file.Close()
	var total atomic.Int64
	var all sync.WaitGroup
	failed := make([]error, 2*runtime.NumCPU())
	start := time.Now()
	for i := range failed {
		all.Go(func() { failed[i] = sendOne(address, file, &total) })
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%.0f\n", float64(total.Load())*8/time.Since(start).Seconds())
	return err
}

func zeros() (*os.File, error) {
	fd, err := unix.MemfdCreate("zeros", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "zeros")
	_, err = f.Write(make([]byte, streamFile))
	return f, err
}

func sendOne(address string, file *os.File, total *atomic.Int64) error {
	c, err := net.Dial("tcp", net.JoinHostPort(address, streamPort))
	if err != nil {
		return err
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	for start := time.Now(); time.Since(start) < streamTime && err == nil && failed == nil; {
		err = raw.Write(func(fd uintptr) bool {
			var offset int64
			_, failed = unix.Sendfile(int(fd), int(file.Fd()), &offset, streamFile)
			return failed != unix.EAGAIN
		})
	}
	var arrived int64
	err = errors.Join(err, failed, c.(*net.TCPConn).CloseWrite(), c.SetReadDeadline(time.Now().Add(10*time.Second)))
	if err == nil {
		err = binary.Read(c, binary.BigEndian, &arrived)
	}
	total.Add(arrived)
	return err
}

// knockMany connects again and again, each time for one short answer, and writes how many times in a second it had one.
func knockMany(address string, w io.Writer) error {
	var total atomic.Int64
	var all sync.WaitGroup
	failed := make([]error, 2*runtime.NumCPU())
	start := time.Now()
	for i := range failed {
		all.Go(func() {
			for time.Since(start) < streamTime && failed[i] == nil {
				failed[i] = knock(address)
				total.Add(1)
			}
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%.0f\n", float64(total.Load())/time.Since(start).Seconds())
	return err
}

func knock(address string) error {
	c, err := net.Dial("tcp", net.JoinHostPort(address, streamPort))
	if err != nil {
		return err
	}
	defer c.Close()
	var arrived int64
	tcp := c.(*net.TCPConn)
	// Reset at the end: a port that waits a minute (TIME_WAIT) would be missed soon.
	return errors.Join(tcp.SetLinger(0), tcp.CloseWrite(), c.SetReadDeadline(time.Now().Add(10*time.Second)), binary.Read(c, binary.BigEndian, &arrived))
}
