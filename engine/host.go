package engine

import "os"

// Glassrun finds the runtime as a start does: named by GLASSBOX_GLASSRUN, beside ourselves, or in PATH.
func Glassrun() (string, error) { return glassrun() }

// Armored says whether containers are confined by AppArmor here.
func Armored() bool { return armored() }

// Resolvers are the name servers that a container on the default network is given, and where they come from, where that is not simply
// the host's /etc/resolv.conf.
func Resolvers() (servers, notes []string, err error) {
	data, err := os.ReadFile(hostResolv)
	if err != nil && !os.IsNotExist(err) {
		return nil, nil, err
	}
	r := parseResolv(string(data))
	if err := r.lookThrough(os.ReadFile); err != nil {
		return nil, nil, err
	}
	r.dropLocal()
	return r.servers, r.notes, nil
}

// ReadResolv is what the text of a resolv.conf(5) says.
func ReadResolv(text string) (servers, search, options []string) {
	r := parseResolv(text)
	return r.servers, r.search, r.options
}
