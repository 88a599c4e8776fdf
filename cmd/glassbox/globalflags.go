package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/docker/cli/cli/config"
	"github.com/spf13/pflag"
)

// globalFlags are those before the command.
func (s *session) globalFlags() *pflag.FlagSet {
	f := pflag.NewFlagSet(s.name, pflag.ContinueOnError)
	f.SetInterspersed(false)
	f.SetOutput(s.stderr)
	f.Usage = func() {}
	f.String("config", "", "Location of client config files (default: $DOCKER_CONFIG or ~/.docker)")
	f.Bool("porcelain", false, "Print errors on one line, without hints, on terminals too")
	f.BoolP("version", "v", false, "Print version information and quit")
	f.BoolP("help", "h", false, "Print usage")
	if s.isDocker() {
		_ = f.MarkShorthandDeprecated("help", "use --help")
	}
	f.BoolP("debug", "D", false, "Enable debug mode")
	f.StringP("log-level", "l", "info", "Set the logging level")
	f.StringP("context", "c", "", "Name of the context to use")
	f.StringArrayP("host", "H", nil, "Daemon socket to connect to")
	f.Bool("tls", false, "Use TLS; implied by --tlsverify")
	f.Bool("tlsverify", false, "Use TLS and verify the remote")
	for _, file := range tlsFiles {
		f.String(file, "", "TLS file")
	}
	for _, docker := range append([]string{"help", "debug", "log-level", "context", "host", "tls", "tlsverify"}, tlsFiles...) {
		_ = f.MarkHidden(docker)
	}
	return f
}

var tlsFiles = []string{"tlscacert", "tlscert", "tlskey"}

// logLevels are what logrus.ParseLevel knows. Docker's client logs next to nothing, and this one nothing: it only tells errors.
var logLevels = []string{"panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"}

// refuseGlobal refuses what leads to a daemon, wherever it is.
func refuseGlobal(f *pflag.FlagSet) error {
	if level := f.Lookup("log-level").Value.String(); !slices.Contains(logLevels, level) {
		return plainFailure("Unable to parse logging level: %s", level)
	}
	if name := f.Lookup("context").Value.String(); name != "" && name != "default" {
		return noContext(name)
	}
	for _, name := range append([]string{"host", "tls", "tlsverify"}, tlsFiles...) {
		if f.Changed(name) {
			text := fmt.Sprintf("--%s: glassbox has no daemon to connect to: it starts containers itself, on this machine", name)
			return &failure{cause: errors.New(text), line: text, docker: text, code: 125}
		}
	}
	return nil
}

// noContext is Docker's answer to a context that nobody made: the only one here is the default.
func noContext(name string) error {
	meta := filepath.Join(config.Dir(), "contexts", "meta", fmt.Sprintf("%x", sha256.Sum256([]byte(name))), "meta.json")
	return plainFailure("Failed to initialize: unable to resolve docker endpoint: context %q: context not found: open %s: no such file or directory", name, meta)
}
