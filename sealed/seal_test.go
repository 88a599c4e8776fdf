package sealed

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSealedCopy(t *testing.T) {
	f, err := sealedCopy("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !Is(int(f.Fd())) {
		t.Error("the copy has no seals")
	}
	if _, err := unix.Pwrite(int(f.Fd()), []byte("x"), 0); err != unix.EPERM {
		t.Errorf("writing to the copy: %v, want EPERM", err)
	}
}

// BenchmarkSeal is what protecting the program costs at each start.
func BenchmarkSeal(b *testing.B) {
	for name, seal := range map[string]func(string) (*os.File, error){"mount": sealedMount, "copy": sealedCopy} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f, err := seal("/proc/self/exe")
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}
