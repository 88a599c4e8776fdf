package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/dockerfile"

	"github.com/distribution/reference"
	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
	"github.com/spf13/pflag"
	"github.com/tonistiigi/go-csvvalue"
)

// buildFlags are build's: those of Docker's classic builder, and those of BuildKit's that mean something here.
type buildFlags struct {
	set                                                    *pflag.FlagSet
	tags, labels, args, hosts                              opts.ListOpts
	ulimits                                                *opts.UlimitOpt
	memory, shm                                            opts.MemBytes
	swap                                                   opts.MemSwapBytes
	shares, period, quota                                  int64
	cpus, mems, cgroup, isolation                          string
	file, network, target, iidfile, platform, progress     string
	explain                                                bool
	format                                                 string
	quiet, noCache, remove, force, pull, squash, untrusted bool
	cacheFrom, security, secrets, ssh, allow               []string
	outputFlags
}

func (b *buildFlags) define(f *pflag.FlagSet) {
	b.set = f
	b.tags, b.labels, b.args = opts.NewListOpts(validTag), opts.NewListOpts(opts.ValidateLabel), opts.NewListOpts(opts.ValidateEnv)
	b.hosts, b.ulimits = opts.NewListOpts(opts.ValidateExtraHost), opts.NewUlimitOpt(&map[string]*container.Ulimit{})
	f.VarP(&b.tags, "tag", "t", `Name and optionally a tag in the "name:tag" format`)
	f.Var(&b.args, "build-arg", "Set build-time variables")
	f.Var(b.ulimits, "ulimit", "Ulimit options")
	f.StringVarP(&b.file, "file", "f", "", `Name of the Dockerfile (Default is "PATH/Dockerfile")`)
	f.VarP(&b.memory, "memory", "m", "Memory limit")
	f.Var(&b.swap, "memory-swap", "Swap limit equal to memory plus swap: -1 to enable unlimited swap")
	f.Var(&b.shm, "shm-size", `Size of "/dev/shm"`)
	f.Int64VarP(&b.shares, "cpu-shares", "c", 0, "CPU shares (relative weight)")
	f.Int64Var(&b.period, "cpu-period", 0, "Limit the CPU CFS (Completely Fair Scheduler) period")
	f.Int64Var(&b.quota, "cpu-quota", 0, "Limit the CPU CFS (Completely Fair Scheduler) quota")
	f.StringVar(&b.cpus, "cpuset-cpus", "", "CPUs in which to allow execution (0-3, 0,1)")
	f.StringVar(&b.mems, "cpuset-mems", "", "MEMs in which to allow execution (0-3, 0,1)")
	f.StringVar(&b.cgroup, "cgroup-parent", "", `Set the parent cgroup for the "RUN" instructions during build`)
	f.StringVar(&b.isolation, "isolation", "", "Container isolation technology")
	f.Var(&b.labels, "label", "Set metadata for an image")
	f.BoolVar(&b.noCache, "no-cache", false, "Do not use cache when building the image")
	f.BoolVar(&b.remove, "rm", true, "Remove intermediate containers after a successful build")
	f.BoolVar(&b.force, "force-rm", false, "Always remove intermediate containers")
	f.BoolVarP(&b.quiet, "quiet", "q", false, "Suppress the build output and print image ID on success")
	f.BoolVar(&b.pull, "pull", false, "Always attempt to pull a newer version of the image")
	f.StringSliceVar(&b.cacheFrom, "cache-from", []string{}, "Images to consider as cache sources")
	f.Bool("compress", false, "Compress the build context using gzip") // it is sent nowhere
	f.StringSliceVar(&b.security, "security-opt", []string{}, "Security options")
	f.StringVar(&b.network, "network", "default", "Set the networking mode for the RUN instructions during build")
	f.Var(&b.hosts, "add-host", `Add a custom host-to-IP mapping ("host:ip")`)
	f.StringVar(&b.target, "target", "", "Set the target build stage to build.")
	f.StringVar(&b.iidfile, "iidfile", "", "Write the image ID to the file")
	f.BoolVar(&b.untrusted, "disable-content-trust", true, "Skip image verification")
	f.StringVar(&b.platform, "platform", os.Getenv("DOCKER_DEFAULT_PLATFORM"), "Set platform if server is multi-platform capable")
	f.BoolVar(&b.squash, "squash", false, "Squash newly built layers into a single new layer")
	_ = f.MarkHidden("compress")
	own(f, "compress", "Compress the build context using gzip")
	// BuildKit's.
	f.StringVar(&b.progress, "progress", "", `Set type of progress output ("classic", "auto", "plain", "tty", "rawjson")`)
	f.StringArrayVar(&b.secrets, "secret", nil, `Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")`)
	f.StringArrayVar(&b.ssh, "ssh", nil, `SSH agent socket to expose to the build (format: "default|<id>[=<socket>]")`)
	f.StringArrayVar(&b.allow, "allow", nil, `Allow extra privileged entitlement ("network.host", "security.insecure")`)
	f.BoolVar(&b.explain, "explain", false, "Print what came of each step, why it was not in the cache, and what it cost")
	f.StringVar(&b.format, "format", "", "Format of --explain: text or json")
	f.StringArrayVarP(&b.outputs, "output", "o", nil, `Output destination (format: "type=local|tar|oci|docker|image|registry,dest=path")`)
	f.BoolVar(&b.push, "push", false, `Shorthand for "--output=type=registry"`)
	f.BoolVar(&b.load, "load", false, `Shorthand for "--output=type=docker"`)
	f.StringVar(&b.metadata, "metadata-file", "", "Write build result metadata to a file")
	for _, ours := range []string{"progress", "secret", "ssh", "allow", "explain", "format", "output", "push", "load", "metadata-file"} {
		own(f, ours)
	}
}

func validTag(name string) (string, error) {
	_, err := reference.ParseNormalizedNamed(name)
	return name, err
}

// options are what is built, but for the context.
func (b *buildFlags) options(proxies func(map[string]*string) map[string]*string) (dockerfile.Options, error) {
	o := dockerfile.Options{
		Target: b.target, Args: proxies(opts.ConvertKVStringsToMapWithNil(b.args.GetSlice())), Labels: opts.ConvertKVStringsToMap(b.labels.GetSlice()),
		NoCache: b.noCache, Pull: b.pull, Keep: !b.remove, ForceRemove: b.force, Squash: b.squash, Platform: b.platform,
		Network: b.network, ExtraHosts: b.hosts.GetSlice(), ShmSize: b.shm.Value(), Security: b.security, Allow: b.allow,
		Resources: container.Resources{
			CgroupParent: b.cgroup, CPUShares: b.shares, CPUPeriod: b.period, CPUQuota: b.quota, CpusetCpus: b.cpus, CpusetMems: b.mems,
			Memory: b.memory.Value(), MemorySwap: b.swap.Value(), Ulimits: b.ulimits.GetList(),
		},
	}
	switch {
	case !b.untrusted:
		return o, plainFailure("--disable-content-trust=false: this build verifies digests, not Notary signatures")
	case b.isolation != "" && b.isolation != "default":
		return o, engineFailure(fmt.Errorf("unsupported isolation: %q", b.isolation))
	}
	for _, a := range b.allow {
		if a != "network.host" && a != "security.insecure" {
			return o, plainFailure("invalid entitlement: %s", a)
		}
	}
	var err error
	if o.CacheFrom, err = cacheImages(b.cacheFrom); err != nil {
		return o, plainFailure("%w", err)
	}
	if o.Tags, err = buildTags(b.tags.GetSlice()); err != nil {
		return o, engineFailure(err)
	}
	if o.Secrets, err = secretFlags(b.secrets); err != nil {
		return o, plainFailure("%w", err)
	}
	if o.SSH, err = sshFlags(b.ssh); err != nil {
		return o, plainFailure("%w", err)
	}
	if o.Epoch, err = epoch(o.Args); err != nil {
		return o, plainFailure("%w", err)
	}
	return o, nil
}

// buildTags are the names without doubles.
func buildTags(names []string) (all []reference.Named, err error) {
	known := map[string]bool{}
	for _, name := range names {
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return nil, err
		}
		if _, ok := ref.(reference.Canonical); ok {
			return nil, fmt.Errorf("build tag cannot contain a digest")
		}
		ref = reference.TagNameOnly(ref)
		if !known[ref.String()] {
			known[ref.String()] = true
			all = append(all, ref)
		}
	}
	return all, nil
}

// cacheImages are the images of --cache-from: names, or BuildKit's type=registry,ref=NAME, which comes cut at its commas.
func cacheImages(words []string) (all []string, err error) {
	for _, word := range words {
		key, value, is := strings.Cut(word, "=")
		switch {
		case !is:
			all = append(all, word)
		case key == "type" && value == "registry":
		case key == "ref":
			all = append(all, value)
		default:
			return nil, fmt.Errorf("--cache-from %s: only images are taken for a cache; what builds here keep is found without it", word)
		}
	}
	return all, nil
}

// secretFlags reads id=NAME,src=FILE or id=NAME,env=VARIABLE. What has neither is the variable of that name, or the file.
func secretFlags(flags []string) (map[string]dockerfile.Secret, error) {
	all := map[string]dockerfile.Secret{}
	for _, flag := range flags {
		fields, err := csvvalue.Fields(flag, nil)
		if err != nil {
			return nil, fmt.Errorf("failed to parse csv secret: %w", err)
		}
		var id, kind string
		var s dockerfile.Secret
		for _, field := range fields {
			key, value, ok := strings.Cut(field, "=")
			if !ok {
				return nil, fmt.Errorf("invalid field '%s' must be a key=value pair", field)
			}
			switch strings.ToLower(key) {
			case "type":
				if kind = value; kind != "file" && kind != "env" {
					return nil, fmt.Errorf("unsupported secret type %q", value)
				}
			case "id":
				id = value
			case "source", "src":
				s.File = value
			case "env":
				s.Env = value
			default:
				return nil, fmt.Errorf("unexpected key '%s' in '%s'", key, field)
			}
		}
		if id == "" {
			return nil, fmt.Errorf("secret missing required id: %q", flag)
		}
		if kind == "env" && s.Env == "" {
			s.Env, s.File = s.File, ""
		}
		if s.Env == "" && s.File == "" {
			if _, set := os.LookupEnv(id); set && kind != "file" {
				s.Env = id
			} else {
				s.File = id
			}
		}
		if s.File != "" {
			if s.File, err = filepath.Abs(s.File); err != nil {
				return nil, err
			}
			if _, err := os.Stat(s.File); err != nil {
				return nil, fmt.Errorf("failed to stat %s: %w", s.File, err)
			}
		}
		all[id] = s
	}
	return all, nil
}

// sshFlags reads default, ID or ID=SOCKET.
func sshFlags(flags []string) (map[string]string, error) {
	all := map[string]string{}
	for _, flag := range flags {
		id, socket, given := strings.Cut(flag, "=")
		if !given {
			if socket = os.Getenv("SSH_AUTH_SOCK"); socket == "" {
				return nil, fmt.Errorf("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")
			}
		}
		if _, twice := all[id]; twice {
			return nil, fmt.Errorf("duplicate ID %s", id)
		}
		all[id] = socket
	}
	return all, nil
}

// epoch is SOURCE_DATE_EPOCH, of the command line or of the environment.
func epoch(args map[string]*string) (*time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if v := args["SOURCE_DATE_EPOCH"]; v != nil {
		text = *v
	}
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("invalid SOURCE_DATE_EPOCH: %s", text)
	}
	t := time.Unix(n, 0).UTC()
	return &t, nil
}

// mode is how the build is shown: what --progress says, else what DOCKER_BUILDKIT says; -q silences the classic words.
func (b *buildFlags) mode() (string, error) {
	kit := false
	if v := os.Getenv("DOCKER_BUILDKIT"); v != "" {
		var err error
		if kit, err = strconv.ParseBool(v); err != nil {
			return "", plainFailure("DOCKER_BUILDKIT environment variable expects boolean value: %w", err)
		}
	}
	switch quiet := b.quiet || b.progress == "quiet"; {
	case quiet && kit:
		return "silent", nil
	case quiet:
		return "quiet", nil
	case b.progress != "":
		return b.progress, nil
	case kit && os.Getenv("BUILDKIT_PROGRESS") != "":
		return os.Getenv("BUILDKIT_PROGRESS"), nil
	case kit:
		return "auto", nil
	}
	return "classic", nil
}

// modern tells whether errors are told as BuildKit tells them.
func modern(mode string) bool { return !slices.Contains([]string{"classic", "quiet"}, mode) }
