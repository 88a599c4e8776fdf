package experiment

import (
	"fmt"
	"os"
	"path/filepath"

	"glassbox/engine"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

// host changes the HostConfig alone.
func host(change func(*container.HostConfig)) func(*stage, *engine.Options) {
	return func(_ *stage, o *engine.Options) { change(o.HostConfig) }
}

// admin gives the right to mount and to name hosts, and takes away what else would refuse it.
func admin(h *container.HostConfig) {
	unarmoured(h)
	h.CapAdd = append(h.CapAdd, "SYS_ADMIN")
}

// unarmoured takes away AppArmor's profile, which would refuse by itself what the experiment is about.
func unarmoured(h *container.HostConfig) {
	h.SecurityOpt = append(h.SecurityOpt, "apparmor=unconfined")
}

const unarmouredFlags = "--security-opt apparmor=unconfined"

const adminFlags = "--cap-add SYS_ADMIN " + unarmouredFlags

// namespaces are the experiments that share one of the host's.
func namespaces() []Experiment {
	return []Experiment{
		{
			Mechanism: named("cgroup"), Seen: "the container reads its place in the host's tree of groups",
			Probe:   []string{"grep ^0:: /proc/self/cgroup"},
			without: setting{flags: "--cgroupns host", apply: host(func(h *container.HostConfig) { h.CgroupnsMode = "host" })},
		},
		{
			Mechanism: named("user"), Seen: "the container's root reads and writes as the host's root",
			Probe:   []string{"id -u", "cat /proc/self/uid_map", "cat /shared/for-root-only", "touch /shared/made-inside"},
			prepare: (*stage).share,
			whole: setting{flags: "--userns auto -v " + stageDir + ":/shared", apply: func(s *stage, o *engine.Options) {
				o.HostConfig.UsernsMode, o.HostConfig.Binds = "auto", []string{s.dir() + ":/shared"}
			}},
			without: setting{flags: "-v " + stageDir + ":/shared", apply: func(s *stage, o *engine.Options) {
				o.HostConfig.Binds = []string{s.dir() + ":/shared"}
			}},
			look: (*stage).owner,
		},
		{
			Mechanism: named("pid"), Seen: "the container lists the host's processes, and ends one",
			Probe:   []string{"ps -o pid,args", "pkill sleep || echo 'nobody to signal'"},
			prepare: (*stage).employ,
			whole:   setting{flags: unarmouredFlags, apply: host(unarmoured)},
			without: setting{flags: unarmouredFlags + " --pid host", apply: host(func(h *container.HostConfig) { unarmoured(h); h.PidMode = "host" })},
			look:    (*stage).employed,
		},
		{
			Mechanism: named("fork"), Seen: "the shell stays outside, its first child is PID 1, and there is no second one: Cannot allocate memory",
			Probe:   bornBy("unshare --pid --fork"),
			Less:    bornBy("unshare --pid"),
			whole:   setting{flags: adminFlags, apply: host(admin)},
			without: setting{flags: adminFlags, apply: host(admin), note: "the containers are alike: it is the probe that leaves out --fork"},
		},
		{
			Mechanism: named("uts"), Seen: "the container renames the host",
			Probe:   []string{"hostname renamed-inside", "hostname"},
			whole:   setting{flags: adminFlags, apply: host(admin)},
			without: setting{flags: adminFlags + " --uts host", apply: host(func(h *container.HostConfig) { admin(h); h.UTSMode = "host" })},
			look: func(*stage) []string {
				name, _ := os.Hostname()
				return []string{"hostname of the host: " + name}
			},
		},
		{
			Mechanism: named("ipc"), Seen: "the container finds shared memory of the host",
			Probe:   []string{"cut -c1-44 /proc/sysvipc/shm", "ls /dev/shm"},
			prepare: remember,
			without: setting{flags: "--ipc host", apply: host(func(h *container.HostConfig) { h.IpcMode = "host" })},
		},
		{
			Mechanism: named("net"), Seen: "the container has the host's interfaces, and talks to what listens on 127.0.0.1 there",
			Probe:   []string{"ip -br address", "wget -qO- http://127.0.0.1:8080/ || echo 'nobody listens'"},
			prepare: (*stage).connect,
			whole:   setting{flags: "--network none", apply: host(func(h *container.HostConfig) { h.NetworkMode = "none" })},
			without: setting{flags: "--network host", apply: host(func(h *container.HostConfig) { h.NetworkMode = "host" })},
		},
		{
			Mechanism: named("time"), Seen: "the container has been up as long as the host",
			Probe: []string{"echo up $(( $(cut -d. -f1 /proc/uptime) / 86400 )) days", "cat /proc/self/timens_offsets"},
			whole: setting{flags: "--time-offset boottime=8640000", apply: func(_ *stage, o *engine.Options) {
				o.TimeOffset = map[string]int64{"boottime": 8640000}
			}},
		},
	}
}

// bornBy has a shell in a new PID namespace call itself twice.
func bornBy(unshare string) []string {
	return []string{"echo 'echo child: process $$' >/child", unshare + " sh -c 'echo shell: process $$; sh /child; sh /child; echo status $?'"}
}

// share makes a directory that everybody may write to, with a file that only root may read.
func (s *stage) share() error {
	if err := os.WriteFile(filepath.Join(s.dir(), "for-root-only"), []byte("only the host's root reads this\n"), 0o600); err != nil {
		return err
	}
	return os.Chmod(s.dir(), 0o1777)
}

func (s *stage) owner() []string {
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(s.dir(), "made-inside"), &st); err != nil {
		return []string{"made-inside: " + err.Error()}
	}
	who := "somebody without rights"
	if st.Uid == 0 {
		who = "the host's root"
	}
	return []string{fmt.Sprintf("owner of made-inside on the host: user %d, %s", st.Uid, who)}
}

// remember makes System V shared memory and a file of POSIX shared memory.
func remember(*stage) error {
	if _, err := unix.SysvShmGet(0x676c6173, 4096, unix.IPC_CREAT|0o600); err != nil {
		return os.NewSyscallError("shmget", err)
	}
	return os.WriteFile("/dev/shm/of-the-host", nil, 0o600)
}
