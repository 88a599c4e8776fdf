// Package rootfs compiles a container's file tree: overlay, mounts, devices, masks and pivot_root.
package rootfs

// Layers is the shared value between image (which unpacks), engine (which owns the writable part) and
// runtime (which mounts): one overlay file system, described. It is stored as layers.json beside config.json.
type Layers struct {
	Lower []string `json:"lower"`           // unpacked image layers, topmost first, absolute paths
	Upper string   `json:"upper,omitempty"` // what the container writes; empty with Work: read-only
	Work  string   `json:"work,omitempty"`  // overlayfs's own, empty, on Upper's file system
	Mount string   `json:"mount"`           // an existing empty directory to mount the overlay on; nothing is
	// mounted there on the host: the mount exists only in the container's mount namespace
	UserXattr bool `json:"userxattr,omitempty"` // Upper keeps overlay's marks in user.overlay.*, not trusted.overlay.*

	Once bool `json:"once,omitempty"` // Upper is written by one mount only, which need not sync it at its end
}
