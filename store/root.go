// Package store keeps JSON documents in directories: atomic replacement, flock, exclusive claims. It is the only
// place that knows paths.
//
//	DATA/containers/<id>/   container.json state.json hostname hosts resolv.conf upper/ work/ <id>-json.log local-logs/
//	DATA/names/<name>       -> ../containers/<id>, the container that has claimed the name
//	DATA/idranges/<block>   -> ../containers/<id>, the container that owns these 65536 host ids
//	DATA/networks/<id>/     network.json addresses/<address> -> ../../../containers/<id>, the container that has claimed it
//	DATA/networknames/<name> -> ../networks/<id>
//	DATA/volumes/<name>/    volume.json _data/ users/<id> -> ../../../containers/<id>, a container that has it
//	DATA/projects/<number>  -> ../containers/<id>, the container (or, as :<name>, the volume) whose quota has this project id
//	DATA/labs/              active.json progress.json, of the lessons
//	DATA/images DATA/layers the image store's
//	RUN/events              what happened, package event
//	RUN/containers/<id>/    the monitor's state directory, gone after a reboot
//	RUN/volumes/<name>/<id> a container for which the volume is mounted, if it stands for something mounted
//	RUN/networks/<id>/      raised endpoints/<id>.json, the containers on it as they find each other
//
// Nothing is ever fsynced. A rename is atomic for every process of this boot, which is all that commands running side by
// side need; after a power failure no container runs any more, and a document that then turns out to be cut in half
// is set aside by Read. One fsync costs more than a whole container start.
package store

import (
	"os"
	"path/filepath"
	"strconv"
)

// Root names the two directories below which everything lives: Data survives a reboot, Run does not.
type Root struct{ Data, Run string }

// Open takes the directories from GLASSBOX_ROOT and GLASSBOX_RUN. It makes nothing: directories appear at first use.
func Open() Root {
	return Root{Data: variable("GLASSBOX_ROOT", "/var/lib/glassbox"), Run: variable("GLASSBOX_RUN", "/run/glassbox")}
}

func variable(name, otherwise string) string {
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	// A monitor outlives the directory in which the command was given, so a relative path would come to mean another place.
	if abs, err := filepath.Abs(v); err == nil {
		return abs
	}
	return v
}

// Events is the journal of what happened since the machine was started.
func (r Root) Events() string { return filepath.Join(r.Run, "events") }

func (r Root) Images() string { return filepath.Join(r.Data, "images") }
func (r Root) Layers() string { return filepath.Join(r.Data, "layers") }

// InitLayer lies among the images' layers, so that the names of all are short when they are seen from there.
func (r Root) InitLayer() string { return filepath.Join(r.Data, "layers", "init") }

// Names are the claimed container names.
func (r Root) Names() Claims { return Claims{filepath.Join(r.Data, "names"), "../containers"} }

// Ranges are the claimed blocks of 65536 host ids, by block number.
func (r Root) Ranges() Claims { return Claims{filepath.Join(r.Data, "idranges"), "../containers"} }

func (r Root) containers() string { return filepath.Join(r.Data, "containers") }

// Container names the places of one container.
func (r Root) Container(id string) Place {
	return Place{ID: id, Dir: filepath.Join(r.containers(), id), Run: filepath.Join(r.Run, "containers", id)}
}

// Place is where one container's files are: Dir below Data, Run below Run.
type Place struct{ ID, Dir, Run string }

func (p Place) Document() string   { return p.Dir + "/container.json" }
func (p Place) State() string      { return p.Dir + "/state.json" }
func (p Place) Hostname() string   { return p.Dir + "/hostname" }
func (p Place) Hosts() string      { return p.Dir + "/hosts" }
func (p Place) ResolvConf() string { return p.Dir + "/resolv.conf" }
func (p Place) Upper() string      { return p.Dir + "/upper" }
func (p Place) Work() string       { return p.Dir + "/work" }

// Stopped exists once a user has sent the container a signal, until somebody starts it.
func (p Place) Stopped() string { return p.Dir + "/stopped" }

func (p Place) Health() string { return p.Dir + "/health.json" }
func (p Place) Log() string    { return p.Dir + "/" + p.ID + "-json.log" }

// LocalLog is the log of the driver local.
func (p Place) LocalLog() string { return p.Dir + "/local-logs/container.log" }

func (p Place) Spec() string    { return p.Run + "/config.json" }
func (p Place) Layers() string  { return p.Run + "/layers.json" }
func (p Place) Monitor() string { return p.Run + "/monitor.json" }
func (p Place) Account() string { return p.Run + "/account.json" }

// Step says where a start that is stepped waits.
func (p Place) Step() string  { return p.Run + "/step.json" }
func (p Place) Mount() string { return p.Run + "/rootfs" }
func (p Place) Shm() string   { return p.Run + "/shm" }

// Wiring is what the container has of networks while it runs, and Plugged the account of how it got that.
func (p Place) Wiring() string  { return p.Run + "/network.json" }
func (p Place) Plugged() string { return p.Run + "/network-account.json" }

// Linked names the containers that are linked to this one.
func (p Place) Linked() string { return p.Run + "/linked" }

// Restart is locked by who stops the container to start it again: its output goes on.
func (p Place) Restart() string { return p.Run + "/restart" }

// Secrets holds what of a step of a build is to be on no disk, until its container has taken it.
func (p Place) Secrets() string     { return p.Run + "/secrets" }
func (p Place) Secret(n int) string { return p.Run + "/secrets/" + strconv.Itoa(n) }

// Alive is locked by the monitor for as long as it lives.
func (p Place) Alive() string { return p.Run + "/lock" }
