package store

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	w := NewWatch(dir)
	defer w.Close()
	written := make(chan error)
	go func() { written <- os.WriteFile(dir+"/file", []byte("x"), 0o600) }()
	start := time.Now()
	if err := w.Wait(context.Background(), time.Minute); err != nil || time.Since(start) > 30*time.Second {
		t.Error("not woken: ", err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.Wait(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		t.Error("not called off: ", err)
	}
	if err := NewWatch("/nowhere").Wait(context.Background(), time.Millisecond); err != nil {
		t.Error("without inotify: ", err)
	}
}
