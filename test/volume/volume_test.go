// Package volume holds glassbox's volumes against what they are for: PostgreSQL whose data outlives its container, backups as courses teach
// them, two writers, a full disk. The same tests can be asked of real Docker:
//
//	go test ./test/volume -engine docker
package volume

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"glassbox/test/debian"
	"glassbox/test/machines"
	"glassbox/test/need"
	"glassbox/test/world"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestMain(m *testing.M) {
	sh := ocispec.ImageConfig{Cmd: []string{"sh"}}
	if need.VM() { // whose tests need no more
		machines.Main(m, machines.Image{Name: "kit", Files: func() ([]world.File, error) { return debian.Programs() }, Config: sh})
	}
	machines.Main(m,
		machines.Image{Name: "kit", Files: debian.Kit, Config: sh},
		machines.Image{Name: "postgres", Files: debian.Postgres, Config: debian.PostgresConfig})
}

// What PostgreSQL has confirmed is there after kill -9 of everything, in a new container, and after a reboot.
func TestPostgresKeepsItsData(t *testing.T) {
	h := machines.WithGlassbox(t, "host")
	h.OK("glassbox volume create pgdata")
	run := "glassbox run -d --name db -v pgdata:/var/lib/postgresql/data postgres start"
	ask := func(sql string) string { return "glassbox exec db psql -h /tmp -d postgres -qAtc \"" + sql + "\"" }
	h.OK(run)
	h.Soon(ask("select 1"), "1")
	h.Is("glassbox run --rm -v pgdata:/d kit stat -c '%u:%g %a' /d", "601:601 700")
	h.OK(ask("create table kept (n int)"))
	confirmed := 0
	for round := range 2 {
		insert := "glassbox exec db sh -c 'i=0; >/tmp/confirmed; while psql -h /tmp -d postgres -qAtc \"insert into kept values ($((i=i+1)))\"; do echo $i >>/tmp/confirmed; done' & "
		h.OK(insert + "sleep 0.7; glassbox exec db tail -n1 /tmp/confirmed >confirmed; glassbox kill db >/dev/null; wait")
		n, err := strconv.Atoi(h.OK("cat confirmed"))
		if err != nil || n == 0 {
			t.Fatalf("nothing was confirmed in round %d: %v", round, err)
		}
		confirmed += n
		h.OK("glassbox start db")
		h.Soon(ask("select 1"), "1")
		have, err := strconv.Atoi(h.OK(ask("select count(*) from kept")))
		if err != nil || have < confirmed || have > confirmed+2*(round+1) {
			t.Errorf("round %d: %d rows, %d confirmed: %v", round, have, confirmed, err)
		}
		confirmed = have
	}
	rows := strconv.Itoa(confirmed)
	h.OK("glassbox rm -f -v db && " + run)
	h.Soon(ask("select count(*) from kept"), rows)
	if !machines.RealDocker() {
		if err := h.Reboot(); err != nil {
			t.Fatal(err)
		}
		h.Is("glassbox ps -a --format '{{.Names}} {{.State}}'", "db exited")
		h.OK("glassbox start db")
		h.Soon(ask("select count(*) from kept"), rows)
	}
	h.OK("glassbox rm -f -v db")
	h.Is("glassbox volume ls -q", "pgdata")
	h.OK("glassbox volume rm pgdata")
}

func TestTwoWriters(t *testing.T) {
	h := machines.WithGlassbox(t, "host")
	h.OK("glassbox volume create shared")
	write := func(name string) string {
		return "glassbox run --name " + name + " -v shared:/s kit sh -c 'i=0; while [ $i -lt 2000 ]; do echo " + name + " $i >>/s/lines; i=$((i+1)); done; sleep 1000' >/dev/null & "
	}
	h.OK(write("one") + write("two") + "sleep 0.1")
	h.Soon("glassbox exec one sh -c 'sort -u /s/lines | wc -l'", "4000")
	h.Is("glassbox exec two grep -vc -e '^one [0-9]*$' -e '^two [0-9]*$' /s/lines || true", "0")
	ids := h.OK("glassbox inspect -f '{{.Id}}' one two")
	for id := range strings.FieldsSeq(ids) {
		h.Fails(1, "glassbox volume rm shared", id)
	}
	h.Fails(1, "glassbox volume rm shared", "remove shared: volume is in use - [")
	h.OK("glassbox rm -f one two && glassbox volume rm shared")
	h.Fails(1, "glassbox volume inspect shared", "get shared: no such volume")
}

// The pattern of Docker's documentation, with owners, modes, links and times.
func TestBackupAndRestore(t *testing.T) {
	h := machines.WithGlassbox(t, "host")
	h.OK("glassbox run -d -v /dbdata --name dbstore kit sleep 1000")
	h.OK("glassbox exec dbstore sh -c 'cd /dbdata; mkdir -p a/b; echo one >a/one; ln a/one a/b/same; ln -s same a/b/link; chown -R 601:33 a; chmod 2750 a; " +
		"chmod 4711 a/one; mkfifo pipe; touch -d 2001-02-03 a/one; head -c 100000 /dev/urandom >noise'")
	h.OK("glassbox run --rm --volumes-from dbstore -v $(pwd):/backup kit tar cf /backup/backup.tar /dbdata")
	h.OK("glassbox run -d -v /dbdata --name dbstore2 kit sleep 1000")
	h.OK("glassbox run --rm --volumes-from dbstore2 -v $(pwd):/backup:ro kit sh -c 'cd /dbdata && /usr/bin/tar xf /backup/backup.tar --strip-components=1'")
	list := " sh -c 'cd /dbdata; find . ! -name . -exec stat -c \"%n %a %u:%g %h %F %Y %s\" {} + | grep -v directory | sort; stat -c \"%n %a %u:%g\" a a/b; sha1sum noise'"
	h.Is("glassbox exec dbstore2"+list, h.OK("glassbox exec dbstore"+list))
	h.Fails(1, "glassbox run --rm --volumes-from dbstore:ro kit touch /dbdata/new", "Read-only file system")
	h.Is("glassbox volume ls -q | wc -l", "2")
	h.OK("glassbox rm -f -v dbstore")
	h.Is("glassbox volume ls -q | wc -l", "1")
	h.OK("glassbox rm -f dbstore2 && glassbox volume prune -f")
	h.Is("glassbox volume ls -q | wc -l", "0")
}

// A disk that is full stops whoever writes; what was written stays, and what could not be filled is filled the next time.
func TestFullDisk(t *testing.T) {
	h := machines.WithGlassbox(t, "host")
	if machines.RealDocker() {
		h.OK("mount -t tmpfs -o size=4m tmpfs docker/data/volumes")
	} else {
		h.OK("mkdir -p root/volumes && mount -t tmpfs -o size=4m tmpfs root/volumes")
	}
	h.OK("glassbox run --name writer -v data:/d kit sh -c 'echo precious >/d/first; i=0; while echo line $i >>/d/log; do i=$((i+1)); head -c 65536 /dev/zero >/d/pad$i || break; done; echo stopped at $i >&2; sync'")
	h.Fails(0, "glassbox logs writer", "stopped at")
	h.Is("glassbox run --rm -v data:/d kit cat /d/first", "precious")
	h.Is("glassbox run --rm -v data:/d kit sh -c 'tail -n1 /d/log | grep -c line'", "1")
	// nginx's libraries do not fit.
	r := h.Run("sh", "-c", "glassbox run --rm -v libraries:/usr/lib kit ls /usr/lib")
	if r.Code != 125 || !strings.Contains(r.Stderr, "no space left on device") {
		t.Errorf("exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	h.Is("glassbox ps -aq --filter volume=libraries", "")
	if machines.RealDocker() {
		h.OK("mount -o remount,size=200m docker/data/volumes; glassbox volume rm -f libraries")
	} else {
		h.OK("mount -o remount,size=200m root/volumes")
	}
	count := "find /usr/lib | wc -l"
	h.Is("glassbox run --rm -v libraries:/usr/lib kit sh -c '"+count+"'", h.OK("glassbox run --rm kit sh -c '"+count+"'"))
	h.OK("glassbox rm writer && glassbox volume rm data libraries")
}

// A mount that the host makes below a bind mount arrives in the container as its propagation says, and the other way round.
func TestPropagation(t *testing.T) {
	need.SecondKernel(t)
	h := machines.WithGlassbox(t, "host")
	h.OK("mkdir -p tree && mount --bind tree tree && mount --make-rshared tree && mkdir tree/sub tree/back")
	for _, kind := range []string{"rprivate", "rslave", "rshared"} {
		h.OK("glassbox run -d --name " + kind + " --cap-add SYS_ADMIN --mount type=bind,source=$PWD/tree,target=/t,bind-propagation=" + kind + " kit sleep 1000")
	}
	h.OK("mount -t tmpfs tmpfs tree/sub && touch tree/sub/seen")
	h.OK("glassbox exec rshared mount -t tmpfs tmpfs /t/back && glassbox exec rshared touch /t/back/seen")
	for kind, want := range map[string]string{"rprivate": "", "rslave": "/t/back/seen\n/t/sub/seen", "rshared": "/t/back/seen\n/t/sub/seen"} {
		h.Is("glassbox exec "+kind+" sh -c 'ls /t/sub/seen /t/back/seen 2>/dev/null | sort'", want)
	}
	h.Is("ls tree/back", "seen")
	h.OK("glassbox rm -f rprivate rslave rshared && umount tree/back tree/sub tree")
}

// Three hundred mounts in one container, and their removal, take no noticeable time.
func TestThreeHundredMounts(t *testing.T) {
	h := machines.WithGlassbox(t, "host")
	var flags strings.Builder
	for i := range 300 {
		fmt.Fprintf(&flags, " -v %s/many/%d:/m/%d", h.Dir, i, i)
	}
	start := time.Now()
	h.Is("glassbox run --rm"+flags.String()+" kit sh -c 'ls /m | wc -l; touch /m/299/here'", "300")
	if took := time.Since(start); took > 5*time.Second && !machines.RealDocker() {
		t.Errorf("it took %v", took)
	}
	h.OK("test -e many/299/here")
}
