// Package dockerfile builds images from Dockerfiles, step by step, through the engine. BuildKit's own packages parse; everything else is here.
package dockerfile

import (
	"context"
	"io"
	"time"

	"glassbox/engine"
	"glassbox/image"
	"glassbox/source"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// Options say what is built and how.
type Options struct {
	Context     *source.Context
	Work        *engine.Work // the place of what the build needs while it goes on; the caller ends it
	Tags        []reference.Named
	Target      string             // the stage that is wanted; empty: the last
	Args        map[string]*string // --build-arg; nil: taken from the environment, and not given where that has none
	Labels      map[string]string
	NoCache     bool
	Pull        bool      // ask for base images even if they are here
	Keep        bool      // --rm=false: the containers of RUN stay
	ForceRemove bool      // --force-rm: also that of a RUN that failed goes
	Squash      bool      // one layer for all that was added to the base
	Outputs     []Output  // what the build is for; none: an image in the store
	Stdout      io.Writer // where an Output to "-" goes
	CacheFrom   []string  // images whose layers may be taken where history agrees
	Platform    string
	Account     *Account   // told what came of each step, and why; may be nil
	Plan        bool       // nothing is carried out: Account tells what would be
	Epoch       *time.Time // SOURCE_DATE_EPOCH: the time of the image, and the latest that a file in its layers has

	// Of the containers in which RUN runs.
	Network    string
	ExtraHosts []string
	Resources  container.Resources
	ShmSize    int64
	Security   []string          // --security-opt
	Allow      []string          // --allow: network.host, security.insecure
	Secrets    map[string]Secret // --secret, by id
	SSH        map[string]string // --ssh: sockets by id
}

// Secret is where a secret's bytes are.
type Secret struct{ File, Env string }

// running is one RUN.
type running struct {
	base     *image.Image
	command  *instructions.RunCommand
	config   *container.Config              // the stage's; Cmd is what runs, Entrypoint none
	args     []string                       // build arguments in force, as NAME=VALUE: in the environment, but not in the image
	files    []instructions.ShellInlineFile // here-documents that are programs: /dev/pipes/NAME is one, 0755
	insecure bool                           // --security=insecure
	from     func(ctx context.Context, name string) (*image.Image, error)
}
