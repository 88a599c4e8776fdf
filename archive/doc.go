// Package archive turns file trees into tar streams and back. It works by descriptors only: whoever exchanges directories for links
// meanwhile leads it nowhere but to other places of the same tree. What it writes is, byte for byte, what Docker writes, but
// that Docker drops extended attributes other than capabilities.
package archive
