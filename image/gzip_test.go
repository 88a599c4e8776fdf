package image

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"runtime"
	"testing"
)

// TestGzipper packs sizes around a block's, on one and on several processors: Go's gzip reads what comes out, and it is the same.
func TestGzipper(t *testing.T) {
	body := []byte(noise(packBlock))
	for i := 0; i < len(body); i += 3 {
		body[i] = 'x' // so that there is something to pack
	}
	for _, n := range []int{0, 1, packBlock - 1, packBlock, packBlock + 1, 5*packBlock + 7} {
		plain := bytes.Repeat(body, n/packBlock+1)[:n]
		var packed [2]bytes.Buffer
		for i, procs := range []int{1, 3} {
			before := runtime.GOMAXPROCS(procs)
			z := newGzipper(&packed[i])
			for at := 0; at < n; at += 70001 {
				if _, err := z.Write(plain[at:min(n, at+70001)]); err != nil {
					t.Fatal(err)
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			runtime.GOMAXPROCS(before)
		}
		if !bytes.Equal(packed[0].Bytes(), packed[1].Bytes()) {
			t.Errorf("%d bytes: the number of processors changes the stream", n)
		}
		r, err := gzip.NewReader(&packed[0])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %d came back, %v", n, len(got), err)
		}
	}
}

// TestGzipperFails has the other side refuse: nothing hangs, and what it said comes back.
func TestGzipperFails(t *testing.T) {
	broken := errors.New("broken")
	z := newGzipper(failing{broken})
	_, err := z.Write(make([]byte, 20*packBlock))
	if err := errors.Join(err, z.Close()); !errors.Is(err, broken) {
		t.Error(err)
	}
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

func BenchmarkGzipper(b *testing.B) {
	plain := filesOf(b, "/usr", 0, 60<<20)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		z := newGzipper(io.Discard)
		z.Write(plain)
		z.Close()
	}
}
