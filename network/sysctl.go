package network

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// conf is a setting of one interface, as sysctl(8) takes it: with slashes where the interface's name has a dot.
func conf(ip, name, setting string) string {
	if strings.Contains(name, ".") {
		return "net/" + ip + "/conf/" + name + "/" + setting
	}
	return "net." + ip + ".conf." + name + "." + setting
}

// sysctlFile is where proc_sys(5) has a setting; what is below net is that of the network namespace of who opens it.
func sysctlFile(key string) string {
	if !strings.Contains(key, "/") {
		key = strings.ReplaceAll(key, ".", "/")
	}
	return "/proc/sys/" + key
}

// set is the request sysctl -w KEY=VALUE.
func set(p place, key, value, from, why string) program.Request {
	return program.Request{Call: p.typed + "sysctl -w " + key + "=" + quoted(value), From: from, Why: why, Do: func() error {
		err := p.enter(func() error { return writeSysctl(key, value) })
		if errors.Is(err, fs.ErrNotExist) && optional(key, value) {
			return program.Tolerated{Errno: unix.ENOENT}
		}
		return refused("setting "+key, err)
	}}
}

// optional: a kernel that was started with ipv6.disable=1 has no settings of IPv6, and what they would turn off is off.
func optional(key, value string) bool {
	return strings.HasPrefix(strings.ReplaceAll(key, "/", "."), "net.ipv6.") && (strings.HasSuffix(key, "disable_ipv6") || strings.HasSuffix(key, "accept_ra")) && value != "2"
}

func writeSysctl(key, value string) error {
	f, err := os.OpenFile(sysctlFile(key), os.O_WRONLY, 0)
	if err != nil {
		if now, ok := sysctl(key); ok && now == value { // read-only, as in a container, and right already
			return program.Tolerated{Errno: unix.EROFS}
		}
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}

// sysctl reads a setting of the calling thread's network namespace; false if there is none.
func sysctl(key string) (string, bool) {
	data, err := os.ReadFile(sysctlFile(key))
	return string(bytes.TrimSpace(data)), err == nil
}

// lacking is the request that makes a setting of the host what it should be, none if it is, or if the kernel has no such setting.
func lacking(key, value, from, why string) []program.Request {
	now, ok := sysctl(key)
	if !ok || now == value {
		return nil
	}
	return []program.Request{set(here, key, value, from, why)}
}

// quoted is a value as a shell takes it.
func quoted(value string) string {
	if strings.ContainsAny(value, " \t'\"$\\;&|<>*?()") {
		return fmt.Sprintf("'%s'", strings.ReplaceAll(value, "'", `'\''`))
	}
	return value
}
