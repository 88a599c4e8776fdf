package experiment

import (
	"os"
	"slices"
	"strings"
)

// Virtual says whether this machine is a virtual one, and what told so: a virtual machine that an experiment ruins can be started anew.
func Virtual() (is bool, evidence string) {
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, flags, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "flags" && slices.Contains(strings.Fields(flags), "hypervisor") {
				return true, "/proc/cpuinfo has the flag hypervisor"
			}
		}
	}
	for _, file := range []string{"/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name", "/sys/hypervisor/type", "/proc/device-tree/hypervisor/compatible"} {
		data, _ := os.ReadFile(file)
		said := strings.Trim(string(data), "\x00\n ")
		for _, maker := range []string{"QEMU", "KVM", "VMware", "VirtualBox", "innotek", "Virtual Machine", "Xen", "xen", "Parallels", "Amazon EC2", "Google Compute", "linux,kvm"} {
			if strings.Contains(said, maker) {
				return true, file + " says " + said
			}
		}
	}
	return false, "neither /proc/cpuinfo nor the firmware's tables (DMI) tell of a hypervisor"
}
