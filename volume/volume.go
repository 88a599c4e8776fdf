// Package volume keeps named data that outlives containers: directories, filled from images, mounted from elsewhere, limited.
package volume

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/docker/go-units"
)

// Anonymous is the label of a volume that nobody named.
const Anonymous = "com.docker.volume.anonymous"

// Driver is the only one there is.
const Driver = "local"

// Options are the local driver's --opt: what is mounted while a container uses the volume, and how much it may hold.
type Options struct {
	Type, Device, O string
	Size            int64 // 0: no limit
}

// required are the options that ask for others, in the order in which they are missed.
var required = []struct{ option, needs string }{{"device", "type"}, {"type", "device"}, {"o", "device"}, {"o", "type"}}

// Parse reads the options as Docker's local driver does, and refuses in its words.
func Parse(given map[string]string) (Options, error) {
	o := Options{Type: given["type"], Device: given["device"], O: given["o"]}
	for name := range given {
		switch name {
		case "type", "o", "device", "size":
		default:
			return o, fmt.Errorf("invalid option: %q", name)
		}
	}
	if err := o.cifs(); err != nil {
		return o, err
	}
	if size, ok := given["size"]; ok {
		var err error
		if o.Size, err = units.RAMInBytes(size); err != nil {
			return o, err
		}
	}
	for _, r := range required {
		_, is := given[r.option]
		if _, has := given[r.needs]; is && !has {
			return o, fmt.Errorf("missing required option: %q", r.needs)
		}
	}
	return o, nil
}

func (o Options) cifs() error {
	if o.Type != "cifs" || o.Device == "" {
		return nil
	}
	device, err := url.Parse(o.Device)
	if err != nil {
		return fmt.Errorf("error parsing mount device url: %w", err)
	}
	if device.Port() != "" {
		return errors.New("port not allowed in CIFS device URL, include 'port' in 'o='")
	}
	return nil
}

// Mounts reports whether the volume is something mounted, rather than a directory of its own.
func (o Options) Mounts() bool { return o.Type != "" || o.Device != "" }
