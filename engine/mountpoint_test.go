package engine

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

func withMounts(h container.HostConfig) *record {
	return &record{Config: &container.Config{}, HostConfig: &h}
}

func TestBinds(t *testing.T) {
	for raw, want := range map[string]string{
		"/h:/c":                "bind /h /c rw rprivate",
		"/h/../x:/c/:ro":       "bind /x /c ro rprivate",
		"/h:/c:ro,rshared,z":   "bind /h /c ro rshared",
		"/h:/c:bogus":          "invalid mode: bogus",
		"/h:/c:ro,rw":          "invalid mode: ro,rw",
		"/h:ro":                "invalid volume specification: '/h:ro'",
		"/h:rel":               `invalid volume specification: '/h:rel': invalid mount config for type "bind": invalid mount path: 'rel' mount path must be absolute`,
		"/h:/":                 `invalid volume specification: '/h:/': invalid mount config for type "bind": invalid specification: destination can't be '/'`,
		"/a:/b:ro:x":           "invalid volume specification: '/a:/b:ro:x'",
		"relative:/x:bogus":    "invalid mode: bogus",
		"vol:/x":               "volume vol /x rw ",
		"vol:/x:ro":            "volume vol /x ro ",
		"vol:/x:nocopy,Z":      "volume vol /x rw ",
		"/x":                   "volume  /x rw ",
		"vol:/x:rshared":       `invalid volume specification: 'vol:/x:rshared': invalid mount config for type "volume": field BindOptions must not be specified`,
		"/h:/c:nocopy":         `invalid volume specification: '/h:/c:nocopy': invalid mount config for type "bind": field VolumeOptions must not be specified`,
		"/x:ro":                "invalid volume specification: '/x:ro'",
		":/x":                  "invalid volume specification: ':/x'",
		"vol:/x:nocopy,nocopy": "invalid mode: nocopy,nocopy",
	} {
		m, err := parseBind(raw, "")
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = strings.Join([]string{string(m.Type), either(m.Source, m.Name), m.Destination, map[bool]string{true: "rw", false: "ro"}[m.RW], string(m.Propagation)}, " ")
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", raw, got, want)
		}
	}
}

func TestMounts(t *testing.T) {
	for want, m := range map[string]mount.Mount{
		`invalid mount config for type "bind": bind source path does not exist: /nonexistent`:                           {Type: "bind", Source: "/nonexistent", Target: "/x"},
		`invalid mount config for type "bind": field Source must not be empty`:                                          {Type: "bind", Target: "/x"},
		`invalid mount config for type "bind": field Target must not be empty`:                                          {Type: "bind", Source: "/tmp"},
		`invalid mount config for type "tmpfs": field Source must not be specified`:                                     {Type: "tmpfs", Source: "/x", Target: "/x"},
		`invalid mount config for type "tmpfs": field BindOptions must not be specified`:                                {Type: "tmpfs", Target: "/x", BindOptions: &mount.BindOptions{}},
		`invalid mount config for type "bind": invalid propagation mode: bogus`:                                         {Type: "bind", Source: "/tmp", Target: "/x", BindOptions: &mount.BindOptions{Propagation: "bogus"}},
		`invalid mount config for type "volume": field BindOptions must not be specified`:                               {Type: "volume", Target: "/x", BindOptions: &mount.BindOptions{}},
		`invalid mount config for type "volume": field ImageOptions must not be specified`:                              {Type: "volume", Target: "/x", ImageOptions: &mount.ImageOptions{}},
		`invalid mount config for type "volume": must not set Subpath when using anonymous volumes`:                     {Type: "volume", Target: "/x", VolumeOptions: &mount.VolumeOptions{Subpath: "a"}},
		`invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes`:               {Type: "volume", Target: "/x", ReadOnly: true},
		`invalid mount config for type "volume": subpath must be a relative path within the volume`:                     {Type: "volume", Source: "v1", Target: "/x", VolumeOptions: &mount.VolumeOptions{Subpath: "a/../../b"}},
		`invalid mount config for type "volume": invalid mount path: 'x' mount path must be absolute`:                   {Type: "volume", Target: "x"},
		`invalid mount config for type "bind": field VolumeOptions must not be specified`:                               {Type: "bind", Source: "/tmp", Target: "/x", VolumeOptions: &mount.VolumeOptions{}},
		`invalid mount config for type "bind": invalid mount path: 'tmp' mount path must be absolute`:                   {Type: "bind", Source: "tmp", Target: "/x"},
		`invalid mount config for type "bind": mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive`: {Type: "bind", Source: "/tmp", Target: "/x", BindOptions: &mount.BindOptions{ReadOnlyForceRecursive: true}},
		`invalid mount config for type "tmpfs": invalid option: bogus`:                                                  {Type: "tmpfs", Target: "/x", TmpfsOptions: &mount.TmpfsOptions{Options: [][]string{{"bogus"}}}},
		`invalid mount config for type "odd": mount type unknown`:                                                       {Type: "odd", Target: "/x"},
	} {
		if _, err := parseMount(m); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	m, err := parseMount(mount.Mount{Type: "tmpfs", Target: "/x", ReadOnly: true, TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 3 << 20, Mode: 0o700, Options: [][]string{{"exec"}}}})
	if err != nil || m.Data != "ro,mode=700,size=3m,exec" {
		t.Errorf("%q, %v", m.Data, err)
	}
	c := &Containers{}
	_, err = c.mountPoints(withMounts(container.HostConfig{Binds: []string{"/tmp:/a"}, Mounts: []mount.Mount{{Type: "tmpfs", Target: "/a"}}}))
	if err == nil || err.Error() != "Duplicate mount point: /a" {
		t.Errorf("duplicate: %v", err)
	}
	_, err = c.mountPoints(withMounts(container.HostConfig{Binds: []string{"/tmp:/a"}, Tmpfs: map[string]string{"/a": ""}}))
	if err == nil || err.Error() != "Duplicate mount point: /a" {
		t.Errorf("duplicate: %v", err)
	}
}

func TestVolumesFromRefuses(t *testing.T) {
	c := &Containers{}
	for from, want := range map[string]string{
		"":            "volumes-from specification cannot be an empty string",
		"c:bogus":     "invalid mode: bogus",
		"c:rshared":   "invalid mode: rshared",
		"c:ro,nocopy": "invalid mode: ro,nocopy",
	} {
		if _, err := c.mountPoints(withMounts(container.HostConfig{VolumesFrom: []string{from}})); err == nil || err.Error() != want {
			t.Errorf("--volumes-from %q: %v, want %s", from, err, want)
		}
	}
}
