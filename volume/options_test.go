package volume

import (
	"errors"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"type=tmpfs device=tmpfs o=size=1m":  "",
		"size=10m":                           "",
		"colour=red":                         `invalid option: "colour"`,
		"type=tmpfs":                         `missing required option: "device"`,
		"device=/x":                          `missing required option: "type"`,
		"o=bind":                             `missing required option: "device"`,
		"o=bind device=/x":                   `missing required option: "type"`,
		"size=big":                           "invalid size: 'big'",
		"type=cifs device=//host:445/share":  "port not allowed in CIFS device URL, include 'port' in 'o='",
		"type=cifs device=//host/share o=ro": "",
	} {
		given := map[string]string{}
		for word := range strings.FieldsSeq(text) {
			key, value, _ := strings.Cut(word, "=")
			given[key] = value
		}
		_, err := Parse(given)
		if got := message(err); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if o, err := Parse(map[string]string{"size": "10m"}); err != nil || o.Size != 10<<20 || o.Mounts() {
		t.Errorf("%+v, %v", o, err)
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestMountRequests(t *testing.T) {
	resolve := func(network, name string) (*net.IPAddr, error) {
		if name != "nas.example" {
			return nil, errors.New("no such host")
		}
		return &net.IPAddr{IP: net.ParseIP("192.0.2.7")}, nil
	}
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{Type: "tmpfs", Device: "tmpfs", O: "size=1m,nosuid,uid=5,rw"}, `mount("tmpfs", "/v", "tmpfs", MS_NOSUID, "size=1m,uid=5")`},
		{Options{Type: "none", Device: "/src", O: "bind"}, `mount("/src", "/v", "none", MS_BIND, "")`},
		{Options{Type: "none", Device: "/src", O: "rbind,ro,rshared"}, `mount("/src", "/v", "none", MS_RDONLY|MS_BIND|MS_REC, "")
mount("", "/v", "", MS_REC|MS_SHARED, "")
mount("", "/v", "", MS_RDONLY|MS_REMOUNT|MS_BIND|MS_REC, "")`},
		{Options{Type: "nfs", Device: ":/export", O: "addr=nas.example,rw,nfsvers=4"}, `mount(":/export", "/v", "nfs", 0, "addr=192.0.2.7,nfsvers=4")`},
		{Options{Type: "nfs", Device: ":/export", O: "addr=10.0.0.1"}, `mount(":/export", "/v", "nfs", 0, "addr=10.0.0.1")`},
		{Options{Type: "nfs", Device: ":/export", O: "addr=nobody"}, "error resolving passed in network volume address: no such host"},
		{Options{Type: "nfs4", Device: "h:/export", O: "addr=nobody"}, `mount("h:/export", "/v", "nfs4", 0, "addr=nobody")`},
		{Options{Type: "cifs", Device: "//nas.example/s%20p", O: "username=u,password=geheim"}, `mount("//192.0.2.7/s p", "/v", "cifs", 0, "username=u,password=********")`},
		{Options{Type: "ext4"}, "missing device in volume options"},
		{Options{Type: "btrfs", Device: "/dev/sdz", O: "noatime,subvol=a,defaults"}, `mount("/dev/sdz", "/v", "btrfs", MS_NOATIME, "subvol=a")`},
	} {
		requests, err := c.options.Mount("/v", "volume v", resolve)
		var calls []string
		for _, r := range requests {
			calls = append(calls, r.Call)
			if r.Why == "" || r.From != "volume v" {
				t.Errorf("%+v", r)
			}
		}
		if got := strings.Join(calls, "\n") + message(err); got != c.want {
			t.Errorf("%+v:\n got %s\nwant %s", c.options, got, c.want)
		}
	}
}

// Docker's words, with the password kept back.
func TestRefused(t *testing.T) {
	err := &Refused{asked{"mount", "//h/s", "/v", "cifs", unix.MS_RDONLY, "username=u,password=geheim"}, unix.EACCES}
	if want := "mount //h/s:/v, flags: 0x1, data: username=u,password=********: permission denied"; err.Error() != want || !errors.Is(err, unix.EACCES) {
		t.Errorf("%v\nwant %s", err, want)
	}
}
