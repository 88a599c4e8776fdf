// Package image keeps images in an OCI image layout, pulls them, and yields unpacked layers as rootfs.Layers.
//
//	DATA/images/index.json       one entry per reference ("alpine:latest", "alpine@sha256:...") or nameless image
//	DATA/images/blobs/sha256/    manifests, configs and layers: as the registry sent them, or made here as plain archives
//	DATA/images/temp/<digest>    a blob on its way; flock(2) held by whoever fetches it
//	DATA/images/leases/<random>  what a pull or build going on relies on; flock held by it
//	DATA/images/kept/<id>        layers of an image removed by force under a stopped container
//	DATA/layers/<number>/        an unpacked layer, in overlayfs's own on-disk form
//	DATA/layers/chain/<hex>      {"number": ..., "diff": ..., "size": ..., "plain": ...}, by chain id
//	DATA/layers/temp/<hex>       a layer being unpacked, by chain id; flock held by whoever does it
//
// An entry of index.json also notes, as annotations, its image's id and the image that it was made of here (glassbox.id, glassbox.parent): what
// was made into others is listed only when asked for, cannot be removed before them, and goes with the last of them if it has no name.
//
// A name under blobs/sha256, chain or the numbers exists only when what it names is complete: everything is made
// in temp and renamed. Whatever lies in temp or leases and is locked by nobody belonged to a process that died; the next
// command that changes the store removes it. The lock on the directory images orders short changes only (index.json,
// numbering of layers, deletion); nobody holds it while downloading or unpacking.
//
// What is made here (AddTree of a directory that becomes the layer, Add of an archive, AddConfig of nothing new) is not compressed: who
// sends it somewhere does that (push), and save need not undo it. A build holds its images (Hold): nobody can remove them meanwhile.
//
// Layers are numbered because a mount's options have little room (4096 bytes, 256 for one fsconfig(2) string), and
// numbers are never used twice, so that a forgotten mount cannot meet another layer's files. They are kept by chain id, as
// in Docker, rather than by diff id: one image may repeat a diff id, and overlayfs refuses the same directory twice (ELOOP).
package image
