package image

import (
	"fmt"

	dockerconfig "github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
)

// hubAuth is under which name credentials for Docker Hub are kept.
const hubAuth = "https://index.docker.io/v1/"

// credentials are what Docker's configuration file, or a helper that it names, holds for a registry; empty: nothing.
func credentials(host string) (types.AuthConfig, error) {
	if host == hub || host == hubIndex || host == hubRegistry {
		host = hubAuth
	}
	file, err := dockerconfig.Load(dockerconfig.Dir())
	if err != nil {
		return types.AuthConfig{}, err
	}
	auth, err := file.GetAuthConfig(host)
	if err != nil {
		return auth, fmt.Errorf("looking up credentials for %s: %w", host, err)
	}
	return auth, nil
}
