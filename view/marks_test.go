package view

import (
	"fmt"
	"strings"
	"testing"
)

// What somebody changes behind glassbox's back is marked and counted, and nothing else is.
func TestMarks(t *testing.T) {
	newMachine(t)
	for _, c := range []struct{ what, flags, change, want string }{
		{"interface", "", "nsenter -t $PID -n ip link set eth0 down", "network eth0: down != asked up|network default route: missing != asked via "},
		{"address", "", "nsenter -t $PID -n ip addr add 10.9.9.9/24 dev eth0", "network eth0: 10.9.9.9/24 != asked no such address"},
		{"bridge", "", "ip link set $(ip -o link | grep -o 'veth[0-9a-f]*' | tail -1) nomaster", "network eth0: the host's end in none != asked in glassbox0"},
		{"cable", "", "ip link del $(ip -o link | grep -o 'veth[0-9a-f]*' | tail -1)", "network eth0: missing != asked an interface on glassbox0"},
		{"name", "--hostname good", "nsenter -t $PID -u hostname evil", "names hostname: evil != asked good"},
		{"mask", "", "nsenter -t $PID -m umount -l /proc/keys", "mounts /proc/keys: open != asked masked"},
		{"mount", "", "nsenter -t $PID -m mount -t tmpfs none /tmp", "mounts /tmp: tmpfs != asked nothing there"},
		{"volume", "-v $DIR:/data:ro", "nsenter -t $PID -m mount -o remount,bind,rw /data", " != asked read-only"},
		{"unmounted", "-v $DIR:/data", "nsenter -t $PID -m umount /data", "mounts /data: nothing != asked bind"},
		{"root", "--read-only", "nsenter -t $PID -m mount -o remount,rw /", "mounts / read-only: false != asked true"},
		{"score", "", "echo 500 >/proc/$PID/oom_score_adj", "limits oom_score_adj: 500 != asked 0"},
		{"rlimit", "--ulimit core=1:2", "prlimit -p $PID --core=0:2", "limits Max core file size (soft): 0 != asked 1"},
		{"port", "-p 80", "glassbox exec -d port httpd -p 127.0.0.1:80 -h /; until grep -q :0050 /proc/$PID/net/tcp; do sleep 0.1; done", "network port 80/tcp: heard at 127.0.0.1:80 != asked at an address outside"},
		{"group", "", "d=$(findmnt -n -t cgroup2 -o TARGET | tail -1); mkdir $d/elsewhere; echo $PID >$d/elsewhere/cgroup.procs", "/elsewhere != asked "},
	} {
		t.Run(c.what, func(t *testing.T) {
			m := &machine{t}
			pid := m.run(c.what, c.flags, "sleep 1000")
			if v := m.view(c.what); len(v.Differences) > 0 {
				t.Errorf("before: %+v", v.Differences)
			}
			m.sh("PID=" + pid + "; " + c.change)
			v := m.view(c.what)
			var lines []string
			for _, d := range v.Differences {
				lines = append(lines, fmt.Sprintf("%s %s: %s %s", d.Section, d.What, d.Is, d.Mark))
			}
			said := strings.Join(lines, "\n")
			for want := range strings.SplitSeq(c.want, "|") {
				if !strings.Contains(said, want) {
					t.Errorf("no %q in\n%s", want, said)
				}
			}
			screen := m.sh("glassbox view " + c.what)
			if !strings.Contains(screen, several(len(lines), "value")+" not as asked for:") || !strings.Contains(screen, "!= asked") {
				t.Errorf("the screen does not count %d:\n%s", len(lines), screen)
			}
			m.sh("glassbox rm -f " + c.what + "; rmdir $(findmnt -n -t cgroup2 -o TARGET | tail -1)/elsewhere 2>/dev/null || true")
		})
	}
}

// Zombies, those who entered, and the namespaces that somebody left.
func TestProcessesAreTold(t *testing.T) {
	m := newMachine(t)
	m.run("zoo", "--cap-add SYS_ADMIN --security-opt seccomp=unconfined", "sh -c 'sh -c \"sleep 0.1 & exec sleep 1000\" & exec sleep 1000'")
	m.sh("glassbox exec -d zoo sleep 500")
	m.soon("a zombie", func() bool { return m.view("zoo").zombies() == 1 })
	v := m.view("zoo")
	entered := 0
	for _, p := range v.Processes {
		if p.Role == "entered" {
			entered++
			m.equal("the exec's command", p.Command, "sleep 500")
		}
		if p.Zombie {
			m.equal("the zombie's command", p.Command, "[sleep]")
		}
	}
	if entered != 1 || v.Processes[0].Role != "first" || v.Processes[0].Inside != 1 {
		t.Errorf("%+v", v.Processes)
	}
	if said := m.sh("glassbox view zoo"); !strings.Contains(said, "ZOMBIE") || !strings.Contains(said, "(exec) sleep 500") {
		t.Error(said)
	}
}
