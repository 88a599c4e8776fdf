package world

import (
	"os"
	"path/filepath"
	"testing"
)

// Own gives a test the glassbox that BuildGlassbox has built, in PATH, with directories of its own for data, state and Docker's configuration.
func Own(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil { // for roots of user namespaces
		t.Fatal(err)
	}
	t.Setenv("GLASSBOX_ROOT", dir+"/data")
	t.Setenv("GLASSBOX_RUN", dir+"/run")
	t.Setenv("GLASSBOX_GLASSRUN", Dir()+"/glassbox/glassrun")
	t.Setenv("PATH", Dir()+"/glassbox:"+os.Getenv("PATH"))
	t.Setenv("DOCKER_CONFIG", dir)
}
