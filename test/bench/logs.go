package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"glassbox/test/world"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// What a container prints: lines of 80 bytes, in pieces of the size that yes(1) writes at once.
const (
	printed   = 200_000_000
	printLine = 80
	printSize = 8 << 10
)

// printLines plays that container.
func printLines(n int, w io.Writer) error {
	line := append(bytes.Repeat([]byte("The quick brown fox jumps. "), 3)[:printLine-1], '\n')
	out := bufio.NewWriterSize(w, printSize)
	for range n {
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// logs: from the start of a container that prints 200 MB to its end, when all of it is in its log.
func logs(r *rig, t *table) error {
	image := r.address + "/prints"
	if err := pushPrinter(image); err != nil {
		return err
	}
	var all []*runner
	for _, e := range r.engines() {
		for _, driver := range []string{"json-file", "local"} {
			if err := run(with(e, "pull", image)); err != nil {
				return err
			}
			all = append(all, logger(e, image, driver))
		}
	}
	if err := race(all, max(3, *rounds/10)); err != nil {
		return err
	}
	t.compare("print 200 MB, json-file", all[0], all[2], 0.5, "≤ 1/2")
	t.compare("print 200 MB, local", all[1], all[3], 0, "")
	return nil
}

func logger(engine []string, image, driver string) *runner {
	const lines = printed / printLine
	start := with(engine, "run", "-d", "--name", "prints", "--network", "none", "--log-driver", driver, "--log-opt", "max-size=1g", image,
		"/print", "-print", strconv.Itoa(lines))
	wait := with(engine, "wait", "prints")
	return &runner{name: "docker, " + driver,
		argv: always("sh", "-c", strings.Join(start, " ")+" && "+strings.Join(wait, " ")),
		after: func(int) error {
			return errors.Join(complete(engine, driver, lines), run(with(engine, "rm", "prints")))
		}}
}

// complete looks into the files: `docker logs` of so much takes minutes.
func complete(engine []string, driver string, lines int) error {
	inspect := with(engine, "inspect", "-f", "{{.HostnamePath}} {{.LogPath}}", "prints")
	out, err := world.Output(inspect[0], inspect[1:]...)
	if err != nil {
		return err
	}
	hostname, path, _ := strings.Cut(strings.TrimSpace(out), " ")
	entry := printLine + len(`{"log":"\n","stream":"stdout","time":"2026-11-22T03:21:39Z"}`) // at least
	if driver == "local" {
		path, entry = filepath.Dir(hostname)+"/local-logs/container.log", printLine+16
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() < int64(lines)*int64(entry) {
		err = fmt.Errorf("%s has %d bytes, too few for %d entries", path, info.Size(), lines)
	}
	return err
}

// pushPrinter makes an image of this program.
func pushPrinter(reference string) error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	image, err := world.Image([]world.File{{Name: "print", Mode: 0o755, Body: self}}, v1.Config{Cmd: []string{"/print"}})
	if err != nil {
		return err
	}
	return world.Push(image, reference)
}
