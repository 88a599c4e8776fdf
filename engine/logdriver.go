package engine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/logfile"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// logDrivers are what --log-driver may be, beside none, each with the options that are its own.
var logDrivers = map[string][]string{
	logfile.JSON:  {"max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag"},
	logfile.Local: {"max-size", "max-file", "compress"},
}

// anyLogDriver are the options that every driver takes. Those of the cache are for drivers that cannot read what they have written.
var anyLogDriver = []string{"mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"}

// carriers are Docker's drivers that send what is written to somebody else.
var carriers = map[string]string{
	"syslog": "a syslog daemon", "journald": "the journal of systemd", "gelf": "Graylog", "fluentd": "Fluentd",
	"awslogs": "Amazon CloudWatch", "splunk": "Splunk", "gcplogs": "Google Cloud Logging",
}

// spare is what Docker keeps in memory with mode=non-blocking, unless max-buffer-size says otherwise.
const spare = 1e6

// validateLog is what Docker looks at when a container is created. The values of a driver's own options are its own concern: see log.
func validateLog(l container.LogConfig) error {
	if l.Type == "none" {
		return nil
	}
	switch mode := container.LogMode(l.Config["mode"]); mode {
	case container.LogModeBlocking, container.LogModeNonBlock, container.LogModeUnset:
	default:
		return invalid("logger: logging mode not supported: %s", mode)
	}
	if size, ok := l.Config["max-buffer-size"]; ok {
		if container.LogMode(l.Config["mode"]) != container.LogModeNonBlock {
			return invalid("logger: max-buffer-size option is only supported with 'mode=%s'", container.LogModeNonBlock)
		}
		if _, err := units.RAMInBytes(size); err != nil {
			return invalid("error parsing option max-buffer-size: %w", err)
		}
	}
	if v := l.Config["cache-disabled"]; v != "" {
		if _, err := strconv.ParseBool(v); err != nil {
			return invalid("invalid value for option cache-disabled: %s", v)
		}
	}
	return validateLogDriver(l)
}

func validateLogDriver(l container.LogConfig) error {
	if to, known := carriers[l.Type]; known {
		return invalid("logging driver %s sends what the container writes to %s: glassbox has nothing running that could do so, and keeps logs in files: json-file, local, or none", l.Type, to)
	}
	l.Type = cmp.Or(l.Type, logfile.JSON)
	own, known := logDrivers[l.Type]
	if !known {
		return invalid("error looking up logging plugin %s: plugin %q not found", l.Type, l.Type)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Config)) {
		switch {
		case slices.Contains(own, name) || slices.Contains(anyLogDriver, name):
		case l.Type == logfile.Local:
			return invalid("unknown log opt '%s' for log driver local", name)
		default:
			return invalid("unknown log opt '%s' for %s log driver", name, l.Type)
		}
	}
	return nil
}

// log is the container's log as its driver's options make it; errors are Docker's, which finds them when a container is started.
func (r *record) log() (logfile.Config, error) {
	l := r.HostConfig.LogConfig
	c := logfile.Config{Driver: l.Type, File: r.logFile(), MaxFile: 1}
	var err error
	switch l.Type {
	case logfile.JSON:
		if err = jsonOptions(&c, l.Config); err == nil {
			c.Attrs, err = r.logAttributes()
		}
	case logfile.Local:
		err = localOptions(&c, l.Config)
	default:
		return logfile.Config{}, nil
	}
	if container.LogMode(l.Config["mode"]) == container.LogModeNonBlock {
		c.Spare = spare
		if size, ok := l.Config["max-buffer-size"]; ok {
			n, err := units.RAMInBytes(size)
			if err != nil {
				return c, err
			}
			c.Spare = max(1, n)
		}
	}
	return c, err
}

// logFile is the current file.
func (r *record) logFile() string {
	if r.HostConfig.LogConfig.Type == logfile.Local {
		return r.place.LocalLog()
	}
	return r.place.Log()
}

func jsonOptions(c *logfile.Config, options map[string]string) (err error) {
	if size, ok := options["max-size"]; ok {
		if c.MaxSize, err = units.FromHumanSize(size); err != nil {
			return err
		}
		if c.MaxSize <= 0 {
			return errors.New("max-size must be a positive number")
		}
	}
	if files, ok := options["max-file"]; ok {
		if c.MaxFile, err = strconv.Atoi(files); err != nil {
			return err
		}
		if c.MaxFile < 1 {
			return errors.New("max-file cannot be less than 1")
		}
	}
	if compress, ok := options["compress"]; ok {
		if c.Compress, err = strconv.ParseBool(compress); err != nil {
			return err
		}
		if c.Compress && (c.MaxFile == 1 || c.MaxSize == 0) {
			return errors.New("compress cannot be true when max-file is less than 2 or max-size is not set")
		}
	}
	return nil
}

func localOptions(c *logfile.Config, options map[string]string) (err error) {
	c.MaxSize, c.MaxFile, c.Compress = 20<<20, 5, true
	if size, ok := options["max-size"]; ok {
		if c.MaxSize, err = units.FromHumanSize(size); err != nil {
			return fmt.Errorf("invalid value for max-size: %s: %w", size, err)
		}
		c.MaxSize = max(1, c.MaxSize) // Docker begins a new file for each entry then
	}
	if files, ok := options["max-file"]; ok {
		if c.MaxFile, err = strconv.Atoi(files); err != nil {
			return fmt.Errorf("invalid value for max-file: %s: %w", files, err)
		}
	}
	if compress, ok := options["compress"]; ok {
		if c.Compress, err = strconv.ParseBool(compress); err != nil {
			return fmt.Errorf("error reading compress log option: %w", err)
		}
	}
	switch {
	case c.MaxFile < 0:
		return errors.New("max file count cannot be less than 0")
	case c.Compress && c.MaxFile <= 1:
		return errors.New("compression cannot be enabled when max file count is 1")
	}
	return nil
}

// openedLog is log for a start: its directory is there.
func (r *record) openedLog() (logfile.Config, error) {
	c, err := r.log()
	if err == nil && c.Driver == logfile.Local {
		if err = os.Mkdir(filepath.Dir(c.File), 0o700); errors.Is(err, os.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return c, logFailed(err)
	}
	return c, nil
}

// logFailed is a start that failed for its log.
func logFailed(cause error) error {
	e := &Error{Text: "failed to create task for container: failed to initialize logging driver: " + cause.Error(), Cause: cause, Exit: 128}
	var errno unix.Errno
	if errors.As(cause, &errno) {
		e.Exit = exitFor(errno)
	}
	if errno == unix.EISDIR {
		e.Text += ": permission denied"
	}
	return e
}

// unwritable tries whether the container's log can be written, after a start that failed in the monitor.
func (r *record) unwritable() error {
	c, err := r.log()
	if err != nil || !c.Keeps() {
		return err
	}
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	return f.Close()
}

// logPath is what inspect shows: the file of json-file, once there can be one.
func (r *record) logPath(s state) string {
	if r.HostConfig.LogConfig.Type != logfile.JSON || s.StartedAt.IsZero() && s.Error == "" {
		return ""
	}
	return r.place.Log()
}

// logNames are the drivers, as `info` lists them.
func logNames() []string { return slices.Sorted(maps.Keys(logDrivers)) }

// inDockersWords: the type that a tag's template is about has another name there.
func inDockersWords(err error) error {
	return errors.New(strings.ReplaceAll(err.Error(), "*engine.logInfo", "*logger.Info"))
}
