package tiny

import (
	"os"

	"golang.org/x/sys/unix"
)

// breakout climbs out of a chroot and runs a program there, as every root may that can call chroot(2), whose page says so: a change of the
// root leaves the working directory where it is. Once that is outside of the root, ".." is never stopped on the way up. Where the root was
// changed by pivot_root(2), and the old one was let go of, there is nothing above: the program runs where it was.
func breakout(c *call) int {
	if len(c.args) == 0 {
		return c.misused("")
	}
	const inner = "/.breakout"
	if err := unix.Mkdir(inner, 0o700); err != nil && err != unix.EEXIST {
		return c.fail("can't create directory '%s': %s", inner, reason(err))
	}
	if err := unix.Chdir("/"); err != nil {
		return c.fail("can't change directory to '/': %s", reason(err))
	}
	if err := unix.Chroot(inner); err != nil {
		return c.fail("can't change root directory to '%s': %s", inner, reason(err))
	}
	for range 64 { // deeper than any store lies; at the top ".." stays
		if err := unix.Chdir(".."); err != nil {
			return c.fail("can't change directory to '..': %s", reason(err))
		}
	}
	if err := unix.Chroot("."); err != nil {
		return c.fail("can't change root directory to '.': %s", reason(err))
	}
	return c.become(c.args, os.Environ())
}
