// Package labs holds the lessons that come with glassbox, as txtar files, and what their shell scripts share. README.md says how one is written.
package labs

import "embed"

// Files are the lessons, NAME.txtar, and prelude.sh, which every script of a lesson begins with.
//
//go:embed *.txtar prelude.sh
var Files embed.FS
