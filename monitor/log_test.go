package monitor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/logfile"
)

// kept reads the log through all its files.
func (b *box) kept() (texts []string) {
	b.t.Helper()
	r, err := logfile.Open(b.config.Log, -1, time.Time{})
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	err = r.Each(true, func(e *logfile.Entry) error {
		texts = append(texts, string(e.Text))
		return nil
	})
	if err != nil || r.Unread > 0 {
		b.t.Errorf("%d bytes unread, %v", r.Unread, err)
	}
	return texts
}

// Files are begun and compressed while the container writes, before and after a renewal of the monitor, and none of its lines is lost.
func TestRotationOfARunningContainersLog(t *testing.T) {
	const lines = 3000
	for _, driver := range []string{logfile.JSON, logfile.Local} {
		b := shell(t, fmt.Sprintf("i=0; while [ $i -lt %d ]; do i=$((i+1)); echo $i; [ $i != 1000 ] || read x; done", lines))
		b.config.OpenStdin = true
		b.config.Log.Driver, b.config.Log.MaxSize, b.config.Log.MaxFile, b.config.Log.Compress = driver, 5000, 500, true
		b.start()
		b.renewed()
		b.attach(AttachSpec{Stdin: true}).Write([]byte("go on\n"))
		b.wait()
		var want []string
		for i := range lines {
			want = append(want, fmt.Sprintf("%d\n", i+1))
		}
		if got := b.kept(); !slices.Equal(got, want) {
			t.Errorf("%s: %d lines, want %d: %.100q", driver, len(got), lines, got)
		}
		until(t, "the last compressor's end", func() bool { return b.archives() >= 2 && len(b.plain()) == 0 })
	}
}

// archives counts the compressed files.
func (b *box) archives() int { return len(b.files(".gz")) }

// plain are the files that are not, but for the current one.
func (b *box) plain() (names []string) {
	for _, name := range b.files("") {
		if !strings.HasSuffix(name, ".gz") {
			names = append(names, name)
		}
	}
	return names
}

func (b *box) files(ending string) []string {
	b.t.Helper()
	names, err := filepath.Glob(b.config.Log.File + ".*" + ending)
	if err != nil {
		b.t.Fatal(err)
	}
	return names
}

// What a burst of output took is given back, too, when the monitor has long been renewed.
func TestRealMemoryAfterOutput(t *testing.T) {
	b := real(t, "read x; yes '\"<a line that needs quite some escapes>\"' | head -c 5000000; read x")
	b.config.OpenStdin = true
	b.config.Log.MaxSize, b.config.Log.MaxFile, b.config.Log.Compress = 1<<20, 3, true
	b.start()
	b.renewed()
	pid := b.state().MonitorPid
	before := privateDirty(t, pid)
	b.attach(AttachSpec{Stdin: true}).Write([]byte("go\n"))
	until(t, "the output", func() bool { return b.archives() == 2 && len(b.plain()) == 0 })
	until(t, "the memory", func() bool {
		time.Sleep(100 * time.Millisecond)
		t.Logf("%d KiB, %d before", privateDirty(t, pid), before)
		return privateDirty(t, pid) <= before+100
	})
}
