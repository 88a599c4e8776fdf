package image

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// samples are contents of all kinds: text, programs, nothing, repetitions of each short distance, noise.
func samples(t testing.TB) [][]byte {
	self, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	all := [][]byte{nil, {1}, []byte(strings.Repeat("a", 100000)), self[:min(len(self), 3<<20)], []byte(noise(300 << 10))}
	for d := 2; d < 40; d++ {
		all = append(all, []byte(strings.Repeat(noise(d), 5000/d)))
	}
	r := rand.New(rand.NewPCG(3, 4))
	skewed := make([]byte, 400<<10) // frequencies that make codes of all lengths
	for i := range skewed {
		for skewed[i] < 60 && r.IntN(2) == 0 {
			skewed[i]++
		}
	}
	return append(all, skewed)
}

func TestGunzip(t *testing.T) {
	levels := []int{6, gzip.HuffmanOnly, gzip.NoCompression, 1, 9}
	if testing.Short() { // the race detector: it has one goroutine to look at here
		levels = levels[:1]
	}
	for i, want := range samples(t) {
		for _, level := range levels {
			var b bytes.Buffer
			w, err := gzip.NewWriterLevel(&b, level)
			if err != nil {
				t.Fatal(err)
			}
			w.Name, w.Comment, w.Extra = "name", "comment", []byte("extra")
			w.Write(want)
			w.Close()
			for name, src := range map[string]io.Reader{"whole": bytes.NewReader(b.Bytes()), "halves": iotest.HalfReader(bytes.NewReader(b.Bytes())),
				"with its end": iotest.DataErrReader(bytes.NewReader(b.Bytes()))} {
				got, err := io.ReadAll(newGunzip(src))
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("sample %d, level %d, %s: %d bytes of %d, %v", i, level, name, len(got), len(want), err)
				}
			}
			if b.Len() < 300 {
				checkCuts(t, b.Bytes())
			}
		}
	}
}

// checkCuts reads every beginning of a stream, in single bytes: none may pass for the whole.
func checkCuts(t *testing.T, packed []byte) {
	t.Helper()
	for n := 1; n < len(packed); n++ {
		if _, err := io.ReadAll(newGunzip(bytes.NewReader(packed[:n]))); err != io.ErrUnexpectedEOF {
			t.Fatalf("%d of %d bytes: %v", n, len(packed), err)
		}
	}
	if _, err := io.ReadAll(newGunzip(iotest.OneByteReader(bytes.NewReader(packed)))); err != nil {
		t.Fatal(err)
	}
}

func TestGunzipStreams(t *testing.T) {
	var b bytes.Buffer
	want := ""
	for _, part := range []string{"one", "", strings.Repeat("two", 100000)} {
		w := gzip.NewWriter(&b)
		w.Write([]byte(part))
		w.Close()
		want += part
	}
	if got, err := io.ReadAll(newGunzip(bytes.NewReader(b.Bytes()))); err != nil || string(got) != want {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	b.WriteString("and something else")
	if _, err := io.ReadAll(newGunzip(&b)); err != errGzip {
		t.Errorf("with a tail: %v", err)
	}
}

// FuzzGunzip holds our decoder against Go's: both accept and give the same, or both refuse. (Run it with
// -fuzzminimizetime 5x: the fuzzer's own minimizing takes all the time otherwise.)
func FuzzGunzip(f *testing.F) {
	for _, want := range samples(f)[:12] {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write(want[:min(len(want), 5000)])
		w.Close()
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		const most = 4 << 20
		got, err := io.ReadAll(io.LimitReader(newGunzip(bytes.NewReader(packed)), most))
		var want []byte
		z, theirs := gzip.NewReader(bytes.NewReader(packed))
		if theirs == nil {
			want, theirs = io.ReadAll(io.LimitReader(z, most))
		}
		if theirs == gzip.ErrHeader {
			return // names of more than 512 bytes, which Go's library does not read
		}
		if (err == nil) != (theirs == nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("we read %d bytes, %v; Go's library %d, %v", len(got), err, len(want), theirs)
		}
	})
}

func BenchmarkGunzip(b *testing.B) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	n, _ := w.Write(filesOf(b, "/usr", 0, 30<<20))
	w.Close()
	b.SetBytes(int64(n))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{newGunzip(bytes.NewReader(packed.Bytes()))}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGunzipOfGo(b *testing.B) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	n, _ := w.Write(filesOf(b, "/usr", 0, 30<<20))
	w.Close()
	b.SetBytes(int64(n))
	for b.Loop() {
		z, err := gzip.NewReader(bytes.NewReader(packed.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, z); err != nil {
			b.Fatal(err)
		}
	}
}
