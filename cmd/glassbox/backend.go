package main

import (
	"context"
	"io"

	"glassbox/dockerfile"
	"glassbox/engine"
	"glassbox/firewall"
	"glassbox/image"
	"glassbox/lab"
	"glassbox/program"
	"glassbox/progress"
	"glassbox/tiny"

	"github.com/distribution/reference"
	configtypes "github.com/docker/cli/cli/config/types"
	manifest "github.com/docker/cli/cli/manifest/types"
	"github.com/docker/docker/api/types"
	buildtypes "github.com/docker/docker/api/types/build"
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

// containers is what the commands ask of engine.Containers.
type containers interface {
	Warm()
	Create(ctx context.Context, o engine.Options) (engine.Created, error)
	Plan(ctx context.Context, o engine.Options) ([]program.Account, error)
	Start(ctx context.Context, id string) error
	StartAttached(ctx context.Context, id string, s engine.Streams) (engine.Attachment, error)
	Attach(ctx context.Context, id string, s engine.Streams) (engine.Attachment, error)
	Account(id string) ([]program.Account, error)
	Exec(ctx context.Context, id string, o engine.ExecOptions, s engine.Streams) (engine.Attachment, []program.Account, error)
	List(all bool, limit int, size bool, f filters.Args) ([]container.Summary, error)
	Inspect(id string, size bool) (container.InspectResponse, error)
	Stop(ctx context.Context, id string, o engine.StopOptions) error
	Restart(ctx context.Context, id string, o engine.StopOptions) error
	Kill(ctx context.Context, id string, o engine.KillOptions) error
	Pause(id string) error
	Unpause(id string) error
	Rename(id, name string) error
	Remove(ctx context.Context, id string, force, volumes bool) error
	Unlink(ctx context.Context, name string) error
	Wait(ctx context.Context, id string) (int, error)
	Update(id string, u container.UpdateConfig) ([]string, error)
	Top(id string, psArgs []string) (container.TopResponse, error)
	Logs(ctx context.Context, id string, o engine.LogOptions, stdout, stderr io.Writer) error
	Deaf(id string) ([]string, error)
	Denied(id, text string) ([]engine.Denial, error)
	ReadOnly(id, text string) ([]engine.Fixed, error)
	Evidence(id string) (*engine.Evidence, error)
	Zombies(id string) ([]engine.Zombies, error)
	Blocked(id string) ([]firewall.Blocker, error)
	Prune(f filters.Args) (container.PruneReport, error)
	Diff(id string) ([]container.FilesystemChange, error)
	Commit(ctx context.Context, id string, o container.CommitOptions) (string, error)
	Stats(ctx context.Context, o engine.StatsOptions, show func([]engine.Usage) error) error
	Cleanup(id string) error
	Replug(id string, pid int) error
	Boot(ctx context.Context, tell func(engine.Booted)) error
	Halt(ctx context.Context, tell func(engine.Booted)) error
	StatPath(ctx context.Context, id, path string) (container.PathStat, error)
	CopyFrom(ctx context.Context, id, path string) (io.ReadCloser, container.PathStat, error)
	CopyTo(ctx context.Context, id, path string, content io.Reader, o container.CopyToContainerOptions) error
	Export(ctx context.Context, id string) (io.ReadCloser, error)
}

// images is what the commands ask of the image store and of the engine's view of it.
type images interface {
	Pull(ctx context.Context, ref reference.Named, o image.PullOptions) (*image.Image, error)
	Push(ctx context.Context, ref reference.Named, o image.PushOptions) ([]image.Pushed, error)
	Login(ctx context.Context, auth configtypes.AuthConfig) (identity string, err error)
	Search(ctx context.Context, term string, limit int) ([]registry.SearchResult, error)
	Manifests(ctx context.Context, ref reference.Named, insecure bool) (all []manifest.ImageManifest, isList bool, err error)
	PushManifests(ctx context.Context, target reference.Named, all []manifest.ImageManifest, insecure bool, out io.Writer) error
	Tag(source, target string) error
	Summaries(all bool, f filters.Args) ([]dockerimage.Summary, error)
	Inspect(ref string) (dockerimage.InspectResponse, error)
	Remove(ref string, o dockerimage.RemoveOptions) ([]dockerimage.DeleteResponse, error)
	Import(ctx context.Context, archive io.Reader, from, ref string, o dockerimage.ImportOptions) (string, error)
	Save(ctx context.Context, names []string, platform *ocispec.Platform, w io.Writer) error
	Load(ctx context.Context, archive io.Reader, o image.LoadOptions) error
	History(ref string, platform *ocispec.Platform) ([]dockerimage.HistoryResponseItem, error)
	Prune(f filters.Args) (dockerimage.PruneReport, error)
}

// networks is what the commands ask of engine.Networks.
type networks interface {
	Create(name string, o network.CreateOptions) (network.CreateResponse, error)
	List(f filters.Args) ([]network.Summary, error)
	Inspect(ref string) (network.Inspect, error)
	Remove(ref string) error
	Prune(f filters.Args) (network.PruneReport, error)
	Connect(ref, container string, e *network.EndpointSettings) error
	Disconnect(ref, container string, force bool) error
}

// volumes is what the commands ask of engine.Volumes.
type volumes interface {
	Create(o volume.CreateOptions) (volume.Volume, error)
	List(f filters.Args) (volume.ListResponse, error)
	Inspect(name string) (volume.Volume, error)
	Remove(name string, force bool) error
	Prune(f filters.Args) (volume.PruneReport, error)
}

// builds is what the commands ask of builds.
type builds interface {
	Begin() (*engine.Work, error)
	Build(ctx context.Context, o dockerfile.Options, w progress.Watcher) (progress.Result, error)
	Usage(f filters.Args) ([]*buildtypes.CacheRecord, error)
	Prune(o buildtypes.CachePruneOptions) (buildtypes.CachePruneReport, error)
}

// backend is the engine as the commands see it; tests put another in its place.
type backend struct {
	containers containers
	images     images
	networks   networks
	volumes    volumes
	builds     builds
	info       func() (system.Info, error)
	diskUsage  func() (types.DiskUsage, error)
	check      func(clean bool) ([]engine.Finding, error)
	layers     func(ref string, o engine.LayersOptions) (*engine.Layers, error)
	layersLive func(ctx context.Context, ref string, ready func(*engine.Layers), tell func(engine.LiveEvent) error) error
	sight      func(id string) (*engine.Sight, error)
	events     func(ctx context.Context, o events.ListOptions, each func(events.Message) error) error
	desk       func(l *lab.Library) *lab.Desk
	step       func(engine.Stepper) // whom to ask before each request of a start, exec or stop
	explain    func()               // starts leave an account from now on
}

// openEngine opens the real one, for a command; warn is told of damage that it repaired, tell of what it changed on the host.
func openEngine(command string, warn, tell func(message string)) (*backend, error) {
	e, err := engine.Open()
	if err != nil {
		return nil, err
	}
	e.Containers.Warn, e.Networks.Warn, e.Containers.Command = warn, tell, command
	e.Images.Applets = tiny.Names
	e.Settle()
	return &backend{containers: e.Containers, images: engineImages{e}, networks: e.Networks, volumes: e.Volumes, builds: engineBuilds{e}, info: e.System.Info, diskUsage: e.DiskUsage, check: e.System.Check, layers: e.Layers, layersLive: e.LayersLive, step: func(s engine.Stepper) { e.Containers.Step = s }, explain: func() { e.Containers.Explain = true }, sight: e.Containers.Sight, events: e.System.Events, desk: func(l *lab.Library) *lab.Desk { return lab.Open(e, l) }}, nil
}

// engineBuilds joins what the engine keeps of builds with who builds.
type engineBuilds struct{ *engine.Engine }

func (b engineBuilds) Begin() (*engine.Work, error) { return b.Builds.Begin() }
func (b engineBuilds) Build(ctx context.Context, o dockerfile.Options, w progress.Watcher) (progress.Result, error) {
	return dockerfile.Build(ctx, b.Engine, o, w)
}

func (b engineBuilds) Usage(f filters.Args) ([]*buildtypes.CacheRecord, error) {
	return b.Builds.Usage(f)
}
func (b engineBuilds) Prune(o buildtypes.CachePruneOptions) (buildtypes.CachePruneReport, error) {
	return b.Builds.Prune(o)
}

// engineImages joins the store's verbs with those that need to know about containers too.
type engineImages struct{ *engine.Engine }

func (i engineImages) Pull(ctx context.Context, ref reference.Named, o image.PullOptions) (*image.Image, error) {
	return i.Images.Pull(ctx, ref, o)
}
func (i engineImages) Push(ctx context.Context, ref reference.Named, o image.PushOptions) ([]image.Pushed, error) {
	return i.Images.Push(ctx, ref, o)
}
func (i engineImages) Login(ctx context.Context, auth configtypes.AuthConfig) (string, error) {
	return i.Images.Login(ctx, auth)
}
func (i engineImages) Search(ctx context.Context, term string, limit int) ([]registry.SearchResult, error) {
	return i.Images.Search(ctx, term, limit)
}
func (i engineImages) Manifests(ctx context.Context, ref reference.Named, insecure bool) ([]manifest.ImageManifest, bool, error) {
	return i.Images.Manifests(ctx, ref, insecure)
}
func (i engineImages) PushManifests(ctx context.Context, target reference.Named, all []manifest.ImageManifest, insecure bool, out io.Writer) error {
	return i.Images.PushManifests(ctx, target, all, insecure, out)
}
func (i engineImages) Tag(source, target string) error { return i.Images.Tag(source, target) }
func (i engineImages) Summaries(all bool, f filters.Args) ([]dockerimage.Summary, error) {
	return i.ImageSummaries(all, f)
}
func (i engineImages) Inspect(ref string) (dockerimage.InspectResponse, error) {
	return i.ImageInspect(ref)
}
func (i engineImages) Remove(ref string, o dockerimage.RemoveOptions) ([]dockerimage.DeleteResponse, error) {
	return i.ImageRemove(ref, o)
}
func (i engineImages) Import(ctx context.Context, archive io.Reader, from, ref string, o dockerimage.ImportOptions) (string, error) {
	return i.ImageImport(ctx, archive, from, ref, o)
}
func (i engineImages) Save(ctx context.Context, names []string, platform *ocispec.Platform, w io.Writer) error {
	return i.ImagesSave(ctx, names, platform, w)
}
func (i engineImages) Load(ctx context.Context, archive io.Reader, o image.LoadOptions) error {
	return i.Images.Load(ctx, archive, o)
}
func (i engineImages) History(ref string, platform *ocispec.Platform) ([]dockerimage.HistoryResponseItem, error) {
	return i.ImageHistory(ref, platform)
}
func (i engineImages) Prune(f filters.Args) (dockerimage.PruneReport, error) { return i.ImagesPrune(f) }
