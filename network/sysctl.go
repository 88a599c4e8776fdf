package network

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
		err := write(p, sysctlFile(key), value)
		switch {
		case errors.Is(err, fs.ErrNotExist) && off(key):
			return program.Tolerated{Errno: unix.ENOENT}
		case errors.Is(err, unix.EROFS) && read(p, sysctlFile(key)) == value: // as in a container
			return program.Tolerated{Errno: unix.EROFS}
		}
		return refused("setting "+key, err)
	}}
}

// off: a kernel that was started with ipv6.disable=1 has no settings of IPv6, and what these would turn off is off.
func off(key string) bool {
	key = strings.ReplaceAll(key, "/", ".")
	return strings.HasPrefix(key, "net.ipv6.") && (strings.HasSuffix(key, ".disable_ipv6") || strings.HasSuffix(key, ".accept_ra"))
}

func write(p place, file, value string) error {
	f, err := p.setting(file, os.O_WRONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}

// read is empty where there is no such setting.
func read(p place, file string) string {
	f, err := p.setting(file, os.O_RDONLY)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, _ := io.ReadAll(f)
	return string(bytes.TrimSpace(data))
}

// lacking is the request that makes a setting of the host what it should be, none if it is, or if the kernel has no such setting.
func lacking(key, value, from, why string) []program.Request {
	if now := read(here, sysctlFile(key)); now == "" || now == value {
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
