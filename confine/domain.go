package confine

import (
	"fmt"

	"glassbox/linux"
	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Personality compiles linux.personality, personality(2).
func Personality(b *program.Builder, p *specs.LinuxPersonality) error {
	if p == nil {
		return nil
	}
	domain, known := linux.Personalities.Value("PER_" + string(p.Domain))
	switch {
	case !known || p.Domain != specs.PerLinux && p.Domain != specs.PerLinux32:
		return fmt.Errorf("linux.personality.domain: unknown domain %q", p.Domain)
	case len(p.Flags) > 0:
		return fmt.Errorf("linux.personality.flags[0]: unknown flag %q", p.Flags[0])
	}
	b.From("linux.personality")
	b.Call(unix.SYS_PERSONALITY, domain).Why("what the kernel makes programs believe of it: uname's machine")
	return nil
}

// weightedInterleave is MPOL_WEIGHTED_INTERLEAVE, of Linux 6.9.
const weightedInterleave = 6

// MemoryPolicies are the modes and flags that linux.memoryPolicy may name.
func MemoryPolicies() (modes, flags []string) {
	return append(linux.MemoryPolicies.Texts(), string(specs.MpolWeightedInterleave)), linux.MemoryPolicyFlags.Texts()
}

// MemoryPolicy compiles linux.memoryPolicy, set_mempolicy(2).
func MemoryPolicy(b *program.Builder, p *specs.LinuxMemoryPolicy) error {
	if p == nil {
		return nil
	}
	mode, nodes, err := checkMemoryPolicy(p)
	if err != nil {
		return err
	}
	b.From("linux.memoryPolicy")
	const why = "from which nodes its memory comes"
	if nodes == nil {
		b.Call(unix.SYS_SET_MEMPOLICY, mode, nil, 0).Why(why)
	} else {
		b.Call(unix.SYS_SET_MEMPOLICY, mode, nodes, 8*len(nodes)+1).Why(why) // the kernel takes one off, get_nodes in mm/mempolicy.c
	}
	return nil
}

func checkMemoryPolicy(p *specs.LinuxMemoryPolicy) (mode uint64, nodes []byte, err error) {
	mode, known := linux.MemoryPolicies.Value(string(p.Mode))
	if p.Mode == specs.MpolWeightedInterleave {
		mode, known = weightedInterleave, true
	}
	if !known {
		return 0, nil, fmt.Errorf("linux.memoryPolicy.mode: unknown mode %q", p.Mode)
	}
	if p.Nodes != "" {
		if nodes, err = mask("linux.memoryPolicy.nodes", p.Nodes, 1024); err != nil {
			return 0, nil, err
		}
	}
	switch p.Mode {
	case specs.MpolDefault, specs.MpolLocal:
		if nodes != nil {
			return 0, nil, fmt.Errorf("linux.memoryPolicy.nodes: %s takes no nodes", p.Mode)
		}
	case specs.MpolPreferred:
	default:
		if nodes == nil {
			return 0, nil, fmt.Errorf("linux.memoryPolicy.nodes: %s needs at least one node", p.Mode)
		}
	}
	var flags uint64
	for i, name := range p.Flags {
		f, known := linux.MemoryPolicyFlags.Value(string(name))
		if !known {
			return 0, nil, fmt.Errorf("linux.memoryPolicy.flags[%d]: unknown flag %q", i, name)
		}
		flags |= f
	}
	if both := uint64(unix.MPOL_F_STATIC_NODES | unix.MPOL_F_RELATIVE_NODES); flags&both == both {
		return 0, nil, fmt.Errorf("linux.memoryPolicy.flags: MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other")
	}
	return mode | flags, nodes, nil
}
