package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/engine"
	"glassbox/firewall"
	"glassbox/image"
	"glassbox/monitor"
	"glassbox/program"

	"github.com/distribution/reference"
	configtypes "github.com/docker/cli/cli/config/types"
	manifest "github.com/docker/cli/cli/manifest/types"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	dockerimage "github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/api/types/volume"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// fake is an engine with one running container, web, and one that ended, old. Create prints what it was asked for to the
// file named by REQUEST. Attached, a container runs the words exit N, echo WORDS, cat and signals.
type fake struct{ request engine.Options }

const (
	webID = "1111111111111111111111111111111111111111111111111111111111111111"
	oldID = "2222222222222222222222222222222222222222222222222222222222222222"
	newID = "3333333333333333333333333333333333333333333333333333333333333333"
)

func openFake() (*backend, error) {
	f := &fake{}
	return &backend{containers: f, images: fakeImages{}, networks: fakeNetworks{}, volumes: fakeVolumes{}, builds: fakeBuilds{}, info: f.info, diskUsage: fakeUsage, events: fakeEvents, step: func(engine.Stepper) {}, explain: func() {}}, nil
}

func (f *fake) info() (system.Info, error) {
	return system.Info{ServerVersion: engine.Version, KernelVersion: "6.1.0", OSType: "linux", NCPU: 2, CgroupVersion: "2", Driver: "overlay2"}, nil
}

func noSuch(id string) error {
	return &engine.Error{Class: engine.NotFound, Text: "No such container: " + id}
}

func known(id string) error {
	if id == "web" || id == "old" || id == webID || id == oldID || id == newID {
		return nil
	}
	return noSuch(id)
}

func (f *fake) Warm() {}

func (f *fake) Create(ctx context.Context, o engine.Options) (engine.Created, error) {
	f.request = o
	if path := os.Getenv("REQUEST"); path != "" {
		text, err := json.MarshalIndent(o, "", " ")
		if err != nil {
			return engine.Created{}, err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return engine.Created{}, err
		}
	}
	switch {
	case o.Name == "web":
		return engine.Created{}, &engine.Error{Class: engine.Conflict, Text: `Conflict. The container name "/web" is already in use by container "` + webID + `". You have to remove (or rename) that container to be able to reuse that name.`}
	case o.Config.Image == "nowhere":
		return engine.Created{}, &image.NotFound{Ref: "nowhere:latest"}
	}
	return engine.Created{ID: newID}, nil
}

func (f *fake) Plan(ctx context.Context, o engine.Options) ([]program.Account, error) {
	return []program.Account{{Phase: "mounted", Why: "its own tree", Plan: true,
		Host:  []program.Done{{Call: `mkdir("/sys/fs/cgroup/x", 0755)`, Why: "its group", From: "linux.cgroupsPath"}},
		Child: []program.Done{{Call: `sethostname("x", 1)`, Why: "its name", From: "hostname"}},
	}}, nil
}

func (f *fake) Account(id string) ([]program.Account, error) {
	return []program.Account{{Phase: "start", Why: "the last", Child: []program.Done{{Call: `execve("/bin/sh")`, Result: "0", At: 1500 * time.Microsecond, Why: "run it"}}}}, nil
}

func (f *fake) Start(ctx context.Context, id string) error {
	if f.request.Config != nil && len(f.request.Config.Cmd) > 0 {
		return startErrors[f.request.Config.Cmd[0]]
	}
	return known(id)
}

var startErrors = map[string]error{
	"nosuchcmd": &engine.Error{Text: `failed to create task for container: exec: "nosuchcmd": executable file not found in $PATH: unknown`, Exit: 127},
	"/etc":      &engine.Error{Text: `failed to create task for container: exec: "/etc": permission denied: unknown`, Exit: 126},
	"broken":    &engine.Error{Text: "no space left on device"},
}

func (f *fake) StartAttached(ctx context.Context, id string, s engine.Streams) (engine.Attachment, error) {
	var cmd []string
	if f.request.Config != nil {
		cmd = f.request.Config.Cmd
	}
	if len(cmd) > 0 {
		if err := startErrors[cmd[0]]; err != nil {
			return nil, err
		}
	}
	return &fakeProcess{cmd, s}, nil
}

func (f *fake) Attach(ctx context.Context, id string, s engine.Streams) (engine.Attachment, error) {
	return &fakeProcess{[]string{"detach"}, s}, nil
}

func (f *fake) Exec(ctx context.Context, id string, o engine.ExecOptions, s engine.Streams) (engine.Attachment, []program.Account, error) {
	if o.Cmd[0] == "nosuch" {
		return nil, nil, &engine.Error{Text: `OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown`, Exit: 127}
	}
	if o.Detach {
		return nil, nil, nil
	}
	return &fakeProcess{o.Cmd, s}, nil, nil
}

// fakeProcess is what runs.
type fakeProcess struct {
	cmd []string
	s   engine.Streams
}

func (p *fakeProcess) Close() error { return nil }

func (p *fakeProcess) Run(ctx context.Context) (int, error) {
	if len(p.cmd) == 0 {
		return 0, nil
	}
	switch p.cmd[0] {
	case "exit":
		return strconv.Atoi(p.cmd[1])
	case "echo":
		fmt.Fprintln(p.s.Out, strings.Join(p.cmd[1:], " "))
	case "cat":
		_, err := io.Copy(p.s.Out, p.s.In)
		return 0, err
	case "detach":
		return 0, engine.ErrDetached
	case "signals":
		fmt.Fprintln(p.s.Out, "ready")
		fmt.Fprintln(p.s.Out, "got", <-p.s.Signals)
	case "sizes":
		fmt.Fprintln(p.s.Out, "size", <-p.s.Resize)
		fmt.Fprintln(p.s.Out, "size", <-p.s.Resize)
	case "untilquit":
		fmt.Fprintln(p.s.Out, "reading")
		if _, err := io.ReadFull(p.s.In, make([]byte, 4)); err != nil {
			return 0, err
		}
	case "shy":
		time.Sleep(3 * patience)
	case "forever":
		fmt.Fprintln(p.s.Out, "reading")
		<-ctx.Done()
		return 0, context.Cause(ctx)
	case "keys":
		fmt.Fprintln(p.s.Out, p.s.DetachKeys)
	}
	return 0, nil
}

func (f *fake) List(all bool, limit int, size bool, args filters.Args) ([]container.Summary, error) {
	now := time.Now()
	list := []container.Summary{
		{ID: webID, Names: []string{"/web"}, Image: "alpine", ImageID: "sha256:" + webID, Command: "sleep 1000", Created: now.Add(-3 * time.Minute).Unix(), State: "running", Status: "Up 3 minutes", SizeRw: 2, SizeRootFs: 21_500_000},
		{ID: oldID, Names: []string{"/old"}, Image: "alpine", ImageID: "sha256:" + webID, Command: "sh", Created: now.Add(-2 * time.Hour).Unix(), State: "exited", Status: "Exited (3) 2 hours ago"},
	}
	if !all && limit <= 0 {
		list = list[:1]
	}
	if limit > 0 {
		list = list[:min(limit, len(list))]
	}
	return slices.DeleteFunc(list, func(s container.Summary) bool { return args.Contains("status") && !args.ExactMatch("status", s.State) }), nil
}

func (f *fake) Inspect(id string, size bool) (container.InspectResponse, error) {
	if err := known(id); err != nil {
		return container.InspectResponse{}, err
	}
	running := id == "web" || id == webID
	return container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{
			ID: webID, Name: "/web", Path: "sleep", Args: []string{"1000"},
			State: &container.State{Status: "running", Running: running}, HostConfig: &container.HostConfig{},
		},
		Config: &container.Config{Image: "alpine", OpenStdin: true, Env: []string{"A=<b>&c"}},
	}, nil
}

func (f *fake) Stop(ctx context.Context, id string, o engine.StopOptions) error    { return known(id) }
func (f *fake) Restart(ctx context.Context, id string, o engine.StopOptions) error { return known(id) }
func (f *fake) Kill(_ context.Context, id string, o engine.KillOptions) error {
	if o.Signal == "BOGUS" {
		return &engine.Error{Class: engine.InvalidParameter, Text: "invalid signal: BOGUS"}
	}
	return known(id)
}
func (f *fake) Pause(id string) error        { return known(id) }
func (f *fake) Unpause(id string) error      { return known(id) }
func (f *fake) Rename(id, name string) error { return known(id) }
func (f *fake) Remove(ctx context.Context, id string, force, volumes bool) error {
	if id == "web" && !force {
		return &engine.Error{Class: engine.Conflict, Text: "cannot remove container \"web\": container is running"}
	}
	return known(id)
}
func (f *fake) Unlink(ctx context.Context, name string) error    { return known(name) }
func (f *fake) Wait(ctx context.Context, id string) (int, error) { return 3, known(id) }
func (f *fake) Update(id string, u container.UpdateConfig) ([]string, error) {
	return nil, known(id)
}
func (f *fake) Top(id string, psArgs []string) (container.TopResponse, error) {
	return container.TopResponse{Titles: []string{"PID", "CMD"}, Processes: [][]string{{"1", "sleep 1000"}}}, known(id)
}
func (f *fake) Logs(ctx context.Context, id string, o engine.LogOptions, stdout, stderr io.Writer) error {
	fmt.Fprintf(stdout, "tail %d\n", o.Tail)
	return known(id)
}
func (f *fake) Stats(_ context.Context, o engine.StatsOptions, show func([]engine.Usage) error) error {
	for _, name := range o.Names {
		if err := known(name); err != nil {
			return err
		}
	}
	cpu, pids := 12.345, uint64(3)
	return show([]engine.Usage{
		{Container: "web", ID: webID, Name: "/web", CPU: &cpu, Memory: &engine.Memory{Used: 3 << 20, Limit: 64 << 20}, Network: &engine.Traffic{In: 1234, Out: 56}, Block: &engine.Traffic{}, Pids: &pids},
		{Container: "gone", ID: oldID},
	})
}

func fakeEvents(_ context.Context, o events.ListOptions, each func(events.Message) error) error {
	if o.Since == "99" {
		return &engine.Error{Class: engine.InvalidParameter, Text: "`since` time (99) cannot be after `until` time (" + o.Until + ")"}
	}
	at := time.Date(2026, 11, 21, 18, 23, 4, 5000, time.UTC)
	return each(events.Message{
		Status: "die", ID: webID, From: "alpine", Type: "container", Action: "die", Scope: "local", Time: at.Unix(), TimeNano: at.UnixNano(),
		Actor: events.Actor{ID: webID, Attributes: map[string]string{"name": "web", "image": "alpine", "exitCode": "3"}},
	})
}
func (f *fake) Prune(filters.Args) (container.PruneReport, error) {
	return container.PruneReport{ContainersDeleted: []string{oldID}, SpaceReclaimed: 2000}, nil
}
func (f *fake) Cleanup(id string) error { return known(id) }

func (f *fake) Replug(id string, _ int) error { return known(id) }

func (f *fake) Boot(_ context.Context, tell func(engine.Booted)) error {
	tell(engine.Booted{Name: "web", Done: "started"})
	tell(engine.Booted{Name: "old", Done: "removed"})
	tell(engine.Booted{Name: "bad", Done: "started", Err: errors.New("no such\nnetwork")})
	return nil
}

func (f *fake) Halt(_ context.Context, tell func(engine.Booted)) error {
	tell(engine.Booted{Name: "web", Done: "stopped"})
	return nil
}

func (f *fake) Deaf(id string) ([]string, error) {
	shy := f.request.Config != nil && slices.Equal(f.request.Config.Cmd, []string{"shy"})
	if id == webID || shy {
		return []string{"port 80/tcp is published, but the process listens on 127.0.0.1:80 only"}, nil
	}
	return nil, nil
}

func (f *fake) Zombies(id string) ([]engine.Zombies, error) {
	if id != "web" {
		return nil, nil
	}
	return []engine.Zombies{{Count: 1, Parent: 1, ParentName: "sh"}, {Count: 2, Parent: 7, ParentName: "worker"}}, nil
}

func (f *fake) Evidence(id string) (*engine.Evidence, error) {
	if err := known(id); err != nil {
		return nil, err
	}
	e := &engine.Evidence{ID: id, Name: "old", State: monitor.State{Status: monitor.Exited, ExitCode: 3, StartedAt: time.Unix(1, 0), FinishedAt: time.Unix(2, 0)}}
	if f.request.Config != nil && slices.Equal(f.request.Config.Cmd, []string{"exit", "137"}) {
		e.State.ExitCode, e.State.Signal = 137, 9
	}
	return e, nil
}

func (f *fake) Denied(id, text string) ([]engine.Denial, error) {
	if f.request.Config == nil || !slices.Equal(f.request.Config.Cmd, []string{"exit", "13"}) {
		return nil, nil
	}
	return []engine.Denial{{
		Inside: "/s/file", Outside: "/srv/file", Verb: "write", Mode: "-rw-r--r--", Owner: engine.Identity{InsideName: "root", HostName: "root"},
		Process: engine.Identity{Inside: 1000, Host: 1000, HostName: "ann"}, Groups: []uint32{10, 20}, Why: "the rule", Fix: "the cure",
	}}, nil
}

func (f *fake) ReadOnly(id, text string) ([]engine.Fixed, error) {
	if f.request.Config == nil || !slices.Equal(f.request.Config.Cmd, []string{"exit", "30"}) {
		return nil, nil
	}
	return []engine.Fixed{{File: "/sys/fs/cgroup/x", Place: "/sys/fs/cgroup", Why: "the rule", Check: "a look", Fix: "the cure", Learn: "cgroup-namespace"}}, nil
}

func (f *fake) Blocked(id string) ([]firewall.Blocker, error) {
	if id != webID {
		return nil, nil
	}
	return []firewall.Blocker{{What: "the policy of chain FORWARD of table ip filter is drop", Who: "Docker", Fix: "iptables ..."}}, nil
}

// fakeNetworks are bridge, and net10 and net2 of the user's. Create prints what it was asked for to the file named by REQUEST.
type fakeNetworks struct{}

func asked(what any) error {
	path := os.Getenv("REQUEST")
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(what, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

func noNetwork(ref string) error {
	if ref == "bridge" || ref == "net2" || ref == "net10" {
		return nil
	}
	return &engine.Error{Class: engine.NotFound, Text: "network " + ref + " not found"}
}

func (fakeNetworks) Create(name string, o network.CreateOptions) (network.CreateResponse, error) {
	return network.CreateResponse{ID: newID}, asked(o)
}
func (fakeNetworks) List(f filters.Args) ([]network.Summary, error) {
	var list []network.Summary
	for i, name := range []string{"net10", "net2", "bridge"} {
		list = append(list, network.Summary{ID: strings.Repeat(strconv.Itoa(i), 64), Name: name, Driver: "bridge", Scope: "local", EnableIPv4: true, Labels: map[string]string{"a": "b", "c": ""}})
	}
	return list, nil
}
func (fakeNetworks) Inspect(ref string) (network.Inspect, error) {
	return network.Inspect{Name: ref, Driver: "bridge"}, noNetwork(ref)
}
func (fakeNetworks) Remove(ref string) error { return noNetwork(ref) }
func (fakeNetworks) Prune(f filters.Args) (network.PruneReport, error) {
	return network.PruneReport{NetworksDeleted: []string{"net2", "net10"}}, nil
}
func (fakeNetworks) Connect(ref, container string, e *network.EndpointSettings) error {
	return errors.Join(noNetwork(ref), asked(e))
}
func (fakeNetworks) Disconnect(ref, container string, force bool) error { return noNetwork(ref) }

// fakeVolumes are vol10 and vol2.
type fakeVolumes struct{}

func noVolume(name string) error {
	if name == "vol2" || name == "vol10" {
		return nil
	}
	return &engine.Error{Class: engine.NotFound, Text: "get " + name + ": no such volume"}
}

func (fakeVolumes) Create(o volume.CreateOptions) (volume.Volume, error) {
	return volume.Volume{Name: o.Name}, asked(o)
}
func (fakeVolumes) List(f filters.Args) (volume.ListResponse, error) {
	return volume.ListResponse{Volumes: []*volume.Volume{{Name: "vol10", Driver: "local"}, {Name: "vol2", Driver: "local"}}}, nil
}
func (fakeVolumes) Inspect(name string) (volume.Volume, error) {
	return volume.Volume{Name: name, Driver: "local", Mountpoint: "/v/" + name}, noVolume(name)
}
func (fakeVolumes) Remove(name string, force bool) error { return noVolume(name) }
func (fakeVolumes) Prune(f filters.Args) (volume.PruneReport, error) {
	if f.Contains("all") {
		return volume.PruneReport{VolumesDeleted: []string{"vol2"}, SpaceReclaimed: 2000}, nil
	}
	return volume.PruneReport{}, nil
}

type fakeImages struct{}

func (fakeImages) Pull(ctx context.Context, ref reference.Named, o image.PullOptions) (*image.Image, error) {
	if strings.Contains(ref.String(), "nowhere") {
		return nil, fmt.Errorf("pull access denied for nowhere, repository does not exist or may require 'docker login'")
	}
	fmt.Fprintln(o.Out, "pulled", ref, o.Quiet)
	return &image.Image{}, nil
}
func (fakeImages) Push(context.Context, reference.Named, image.PushOptions) ([]image.Pushed, error) {
	return nil, errors.New("denied: requested access to the resource is denied")
}

func (fakeImages) Login(ctx context.Context, auth configtypes.AuthConfig) (string, error) {
	if auth.Password != "sesame" {
		return "", errors.New("unauthorized: incorrect username or password")
	}
	return "", nil
}

func (fakeImages) Search(ctx context.Context, term string, limit int) ([]registry.SearchResult, error) {
	return []registry.SearchResult{
		{Name: "alpine", Description: "A minimal image\nbased on Alpine Linux with a complete package index", StarCount: 100, IsOfficial: true},
		{Name: "some/" + term, StarCount: 3},
	}, nil
}

func (fakeImages) Manifests(ctx context.Context, ref reference.Named, insecure bool) ([]manifest.ImageManifest, bool, error) {
	return nil, false, fmt.Errorf("no such manifest: %s", ref)
}

func (fakeImages) PushManifests(context.Context, reference.Named, []manifest.ImageManifest, bool, io.Writer) error {
	return errors.New("unauthorized: authentication required")
}

func (fakeImages) Tag(source, target string) error {
	if source != "alpine" {
		return &image.NotFound{Ref: source + ":latest"}
	}
	return nil
}
func (fakeImages) Summaries(all bool, f filters.Args) ([]dockerimage.Summary, error) {
	if f.Contains("reference") && !f.ExactMatch("reference", "alpine") {
		return nil, nil
	}
	return []dockerimage.Summary{{ID: "sha256:" + webID, RepoTags: []string{"alpine:latest"}, RepoDigests: []string{}, Created: time.Now().Add(-72 * time.Hour).Unix(), Size: 7_800_000}}, nil
}
func (fakeImages) Inspect(ref string) (dockerimage.InspectResponse, error) {
	if ref != "alpine" {
		return dockerimage.InspectResponse{}, &image.NotFound{Ref: ref + ":latest"}
	}
	return dockerimage.InspectResponse{ID: "sha256:" + webID, RepoTags: []string{"alpine:latest"}, Os: "linux", Architecture: "amd64"}, nil
}
func (fakeImages) Remove(ref string, o dockerimage.RemoveOptions) ([]dockerimage.DeleteResponse, error) {
	if ref != "alpine" {
		return nil, &image.NotFound{Ref: ref + ":latest"}
	}
	return []dockerimage.DeleteResponse{{Untagged: "alpine:latest"}, {Deleted: "sha256:" + webID}}, nil
}
func (fakeImages) Save(ctx context.Context, names []string, platform *ocispec.Platform, w io.Writer) error {
	_, err := fmt.Fprintln(w, names)
	return err
}

func (fakeImages) Load(ctx context.Context, archive io.Reader, o image.LoadOptions) error {
	_, err := io.Copy(o.Out, archive)
	return err
}

func (fakeImages) Import(ctx context.Context, archive io.Reader, from, ref string, o dockerimage.ImportOptions) (string, error) {
	return "sha256:" + newID, asked(map[string]any{"from": from, "ref": ref, "options": o})
}
func (fakeImages) History(ref string, platform *ocispec.Platform) ([]dockerimage.HistoryResponseItem, error) {
	if ref != "alpine" {
		return nil, &image.NotFound{Ref: ref + ":latest"}
	}
	return []dockerimage.HistoryResponseItem{
		{ID: "sha256:" + webID, Created: time.Now().Add(-72 * time.Hour).Unix(), CreatedBy: "/bin/sh -c #(nop)  CMD [\"/bin/sh\"]", Comment: "buildkit"},
		{ID: "<missing>", CreatedBy: "ADD rootfs.tar.gz / # of a name that is longer than tables show", Size: 7_800_000},
	}, nil
}
func (fakeImages) Prune(f filters.Args) (dockerimage.PruneReport, error) {
	return dockerimage.PruneReport{ImagesDeleted: []dockerimage.DeleteResponse{{Untagged: "old:latest"}, {Deleted: "sha256:" + oldID}}, SpaceReclaimed: 1000}, nil
}

func (f *fake) Diff(id string) ([]container.FilesystemChange, error) {
	return []container.FilesystemChange{{Kind: container.ChangeModify, Path: "/etc"}, {Kind: container.ChangeAdd, Path: "/etc/x"}}, known(id)
}
func (f *fake) Commit(ctx context.Context, id string, o container.CommitOptions) (string, error) {
	return "sha256:" + newID, cmp.Or(known(id), asked(o))
}
func fakeUsage() (types.DiskUsage, error) {
	return types.DiskUsage{LayersSize: 2000, Images: []*dockerimage.Summary{{ID: "sha256:" + webID, Size: 2000, Containers: 1}}}, nil
}
