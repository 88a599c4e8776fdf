// Package image keeps images in an OCI image layout, pulls them, and yields unpacked layers as rootfs.Layers.
package image
