package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
)

// settings are the parts of the configuration file that speak of registries, under the names of Docker's daemon.json.
type settings struct {
	Mirrors  []string `json:"registry-mirrors"`
	Insecure []string `json:"insecure-registries"`
}

// Registries are the mirrors of docker.io and the registries (hosts, addresses, networks) that need no TLS, as settings name them.
func Registries() (mirrors, insecure []string, err error) {
	s, err := readSettings()
	return s.Mirrors, s.Insecure, err
}

const settingsFile = "/etc/glassbox/config.json"

// readSettings reads /etc/glassbox/config.json, or the file named by GLASSBOX_CONFIG.
func readSettings() (settings, error) {
	var s settings
	file := os.Getenv("GLASSBOX_CONFIG")
	if file == "" {
		file = settingsFile
	}
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return s, fmt.Errorf("reading %s: %w", file, err)
	}
	for _, m := range s.Mirrors {
		u, err := url.Parse(m)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return s, fmt.Errorf("reading %s: invalid mirror: %q is not an http or https URL", file, m)
		}
	}
	return s, nil
}

// insecure tells whether a registry may be spoken to without TLS or with a certificate that nobody vouches for: on
// loopback, or where the settings say so by name, by address or by network (10.0.0.0/8).
func (s settings) insecure(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	addr, addrErr := netip.ParseAddr(name)
	addr = addr.Unmap()
	if name == "localhost" || addr.IsLoopback() {
		return true
	}
	if slices.Contains(s.Insecure, host) || slices.Contains(s.Insecure, name) {
		return true
	}
	all := []netip.Addr{addr}
	if addrErr != nil {
		all = lookUp(name)
	}
	return slices.ContainsFunc(all, func(a netip.Addr) bool {
		return a.IsLoopback() || slices.ContainsFunc(s.Insecure, func(i string) bool {
			p, err := netip.ParsePrefix(i)
			return err == nil && p.Contains(a)
		})
	})
}

// lookUp finds a host's addresses: one that is called otherwise, in /etc/hosts say, is this machine as well. No answer in time is none:
// then TLS is asked for.
func lookUp(name string) []netip.Addr {
	ctx, cancel := context.WithTimeout(context.Background(), contact)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil
	}
	for i, a := range all {
		all[i] = a.Unmap()
	}
	return all
}
