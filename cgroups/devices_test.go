package cgroups

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// decide runs the program as the kernel would.
func decide(t *testing.T, code bytecode, kind uint32, major, minor, access uint32) bool {
	t.Helper()
	var r [6]uint32
	context := map[int16]uint32{0: access<<16 | kind, 4: major, 8: minor}
	for pc, steps := 0, 0; steps < 10000; pc, steps = pc+1, steps+1 {
		i := code[pc]
		dst := i.reg & 15
		switch i.op {
		case opLoad32:
			r[dst] = context[i.off]
		case opMove32:
			r[dst] = r[i.reg>>4]
		case opAnd32:
			r[dst] &= uint32(i.imm)
		case opShift32:
			r[dst] >>= uint32(i.imm)
		case opUnequal:
			if r[dst] != uint32(i.imm) {
				pc += int(i.off)
			}
		case opAnyBit:
			if r[dst]&uint32(i.imm) != 0 {
				pc += int(i.off)
			}
		case opJump:
			pc += int(i.off)
		case opReturns:
			r[0] = uint32(i.imm)
		case opExit:
			return r[0] == 1
		default:
			t.Fatalf("unknown instruction %#x", i.op)
		}
	}
	t.Fatal("the program does not end")
	return false
}

// lastRuleWins says the same in plain words, for one kind of access at a time.
func lastRuleWins(rules []specs.LinuxDeviceCgroup, kind uint32, major, minor, access uint32) bool {
	for _, one := range []uint32{mknod, read, writes} {
		if access&one == 0 {
			continue
		}
		allowed := false
		for _, r := range rules {
			bits, _ := accessBits(r.Access)
			typed := r.Type == "a" || r.Type == "" || (r.Type == "b") == (kind == block)
			if typed && bits&one != 0 && (r.Major == nil || *r.Major == int64(major)) && (r.Minor == nil || *r.Minor == int64(minor)) {
				allowed = r.Allow
			}
		}
		if !allowed {
			return false
		}
	}
	return true
}

// TestDeviceProgramDecides compares the program with the plain words on random rules and questions.
func TestDeviceProgramDecides(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	number := func() *int64 {
		if random.IntN(3) == 0 {
			return nil
		}
		return ptr(int64(random.IntN(3)))
	}
	for range 3000 {
		var rules []specs.LinuxDeviceCgroup
		for range random.IntN(8) {
			rules = append(rules, specs.LinuxDeviceCgroup{
				Allow: random.IntN(2) == 0, Type: []string{"a", "b", "c", ""}[random.IntN(4)],
				Major: number(), Minor: number(), Access: []string{"r", "w", "m", "rw", "rm", "rwm", ""}[random.IntN(7)],
			})
		}
		code, err := deviceProgram(rules)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			kind, major, minor, access := uint32(1+random.IntN(2)), uint32(random.IntN(3)), uint32(random.IntN(3)), uint32(1+random.IntN(7))
			if got, want := decide(t, code, kind, major, minor, access), lastRuleWins(rules, kind, major, minor, access); got != want {
				t.Fatalf("kind %d device %d:%d access %d: %v, want %v\nrules %+v\n%v", kind, major, minor, access, got, want, rules, code)
			}
		}
	}
}

func TestPrivilegedNeedsNoProgram(t *testing.T) {
	r := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}}
	if requests, err := deviceRequests("/x", r, attach); err != nil || len(requests) != 0 {
		t.Errorf("%d requests, %v", len(requests), err)
	}
}

func TestDeviceRequestsSayWhatTheyLoad(t *testing.T) {
	r := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}
	requests, err := deviceRequests("/g", r, attach)
	if err != nil || len(requests) != 2 {
		t.Fatalf("%d requests, %v", len(requests), err)
	}
	for i, want := range []string{"bpf(BPF_PROG_LOAD, {prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt=", "bpf(BPF_PROG_ATTACH, {target_fd="} {
		if !strings.HasPrefix(requests[i].Call, want) {
			t.Errorf("%s", requests[i].Call)
		}
	}
	if !strings.Contains(requests[0].Call, "off=2, imm=0x88}") {
		t.Error(fmt.Sprint("no terminals in ", requests[0].Call))
	}
}
