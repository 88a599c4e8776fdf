package confine

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"glassbox/linux"
	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Capabilities are the five sets of a process, capabilities(7), as bit masks.
type Capabilities struct{ bounding, effective, inheritable, permitted, ambient uint64 }

// Capabilities are those of c that this process can give. The others are no failure but a warning (config.md, capabilities).
func (in Inherited) Capabilities(c *specs.LinuxCapabilities) (want Capabilities, warnings []string) {
	if c == nil {
		return want, nil
	}
	var missing []string
	for _, set := range []struct {
		names []string
		mask  *uint64
	}{
		{c.Bounding, &want.bounding}, {c.Effective, &want.effective}, {c.Inheritable, &want.inheritable}, {c.Permitted, &want.permitted}, {c.Ambient, &want.ambient},
	} {
		for _, name := range set.names {
			n, known := linux.Capabilities.Value(name)
			if !known || in.Bounding&(1<<n) == 0 {
				missing = append(missing, name)
				continue
			}
			*set.mask |= 1 << n
		}
	}
	if missing != nil {
		slices.Sort(missing)
		warnings = append(warnings, fmt.Sprintf("process.capabilities: ignoring unknown or unavailable capabilities: %v", slices.Compact(missing)))
	}
	for _, rule := range []struct {
		mask         *uint64
		within       uint64
		field, needs string
	}{
		{&want.effective, want.permitted, "effective", "permitted"},
		{&want.inheritable, want.bounding, "inheritable", "bounding"},
		{&want.ambient, want.permitted & want.inheritable, "ambient", "permitted and inheritable"},
	} {
		if more := *rule.mask &^ rule.within; more != 0 {
			warnings = append(warnings, fmt.Sprintf("process.capabilities.%s: ignoring what is not %s: %s", rule.field, rule.needs, names(more)))
			*rule.mask &= rule.within
		}
	}
	return want, warnings
}

// names lists a set.
func names(set uint64) string {
	var out []string
	for ; set != 0; set &= set - 1 {
		out = append(out, linux.Capabilities.Of(uint64(bits.TrailingZeros64(set))))
	}
	return fmt.Sprint(out)
}

// Mapped is what the first process of a user namespace has instead, or one that joins it: every capability, within it. There CAP_SYS_RESOURCE
// does not count for limits, setrlimit(2).
func (in Inherited) Mapped() Inherited {
	in.Bounding |= 1<<len(linux.Capabilities) - 1
	in.CanRaise = false
	return in
}

// bound drops from the bounding set whatever is not wanted: nothing that is executed later can get it back.
func (in Inherited) bound(b *program.Builder, want Capabilities) {
	b.From("process.capabilities.bounding")
	for drop := in.Bounding &^ want.bounding; drop != 0; drop &= drop - 1 {
		n := bits.TrailingZeros64(drop)
		b.Call(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, n, 0, 0, 0).Why("%s: out of reach for this process and all that it starts", linux.Capabilities.Of(uint64(n)))
	}
}

// set compiles capset.
func (s Capabilities) set(b *program.Builder) program.Added {
	header := binary.NativeEndian.AppendUint32(nil, unix.LINUX_CAPABILITY_VERSION_3)
	header = binary.NativeEndian.AppendUint32(header, 0)
	var data []byte
	for shift := 0; shift < 64; shift += 32 {
		for _, mask := range []uint64{s.effective, s.permitted, s.inheritable} {
			data = binary.NativeEndian.AppendUint32(data, uint32(mask>>shift))
		}
	}
	b.From("process.capabilities")
	return b.Call(unix.SYS_CAPSET, header, data)
}

// raise compiles, one by one, the ambient set, which execve keeps for a user who is not root.
func (s Capabilities) raise(b *program.Builder) {
	b.From("process.capabilities.ambient")
	for m := s.ambient; m != 0; m &= m - 1 {
		n := bits.TrailingZeros64(m)
		b.Call(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, n, 0, 0).
			Why("%s: kept over execve although the user is not root", linux.Capabilities.Of(uint64(n)))
	}
}
