package debian

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"glassbox/test/world"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// PostgresConfig runs the server as its own user, with its data in a volume.
var PostgresConfig = ocispec.ImageConfig{
	User: "postgres", Cmd: []string{"start"}, Volumes: map[string]struct{}{"/var/lib/postgresql/data": {}},
	ExposedPorts: map[string]struct{}{"5432/tcp": {}},
}

// Postgres is the server and psql, as an image's contents; the command start makes a cluster in an empty data directory.
func Postgres() ([]world.File, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("no PostgreSQL below /usr/lib/postgresql (apt-get install postgresql)")
	}
	bin := filepath.Dir(found[len(found)-1])
	lib := filepath.Dir(bin) + "/lib"
	share, err := exec.Command(bin+"/pg_config", "--sharedir").Output()
	if err != nil {
		return nil, err
	}
	files, err := Programs(bin+"/postgres", bin+"/initdb", bin+"/psql", bin+"/pg_isready",
		lib+"/dict_snowball.so", lib+"/plpgsql.so", strings.TrimSpace(string(share)), "/usr/share/zoneinfo/UTC", "/usr/share/zoneinfo/GMT")
	if err != nil {
		return nil, err
	}
	start := "#!/bin/sh\nset -e\ndata=/var/lib/postgresql/data\nif [ ! -s $data/PG_VERSION ]; then\n" +
		bin + "/initdb -N -D $data -A trust --locale=C >/dev/null\necho host all all all trust >>$data/pg_hba.conf\nfi\n" +
		"exec " + bin + "/postgres -D $data -k /tmp -h '*' -c max_connections=20 -c shared_buffers=8MB\n"
	return append(files,
		world.File{Name: "usr/bin/start", Mode: 0o755, Body: []byte(start)},
		world.File{Name: "usr/bin/psql", Mode: 0o777, Link: bin + "/psql"},
		world.File{Name: "var/lib/postgresql/", Mode: 0o755, Owner: 601},
		world.File{Name: "var/lib/postgresql/data/", Mode: 0o700, Owner: 601},
	), nil
}
