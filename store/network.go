package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// NetworkNames are the claimed names of networks, as NetworkClaim writes them.
func (r Root) NetworkNames() Claims {
	return Claims{filepath.Join(r.Data, "networknames"), "../networks"}
}

// NetworkClaim is a network's name as a file's: Docker lets it contain anything.
func NetworkClaim(name string) string {
	name = strings.NewReplacer("%", "%25", "/", "%2F", "\x00", "%00").Replace(name)
	if strings.HasPrefix(name, ".") {
		name = "%2E" + name[1:]
	}
	return name
}

func (r Root) networks() string { return filepath.Join(r.Data, "networks") }

// LockNetworks keeps others from adding networks or giving them subnets.
func (r Root) LockNetworks(ctx context.Context) (*Lock, error) { return lockMade(ctx, r.networks()) }

// LockBridges keeps others from changing what all networks share of the kernel.
func (r Root) LockBridges(ctx context.Context) (*Lock, error) {
	return lockMade(ctx, filepath.Join(r.Run, "networks"))
}

func lockMade(ctx context.Context, dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	return Exclusive(ctx, dir)
}

// Network names the places of one network.
func (r Root) Network(id string) NetworkPlace {
	return NetworkPlace{ID: id, Dir: filepath.Join(r.networks(), id), Run: filepath.Join(r.Run, "networks", id)}
}

// NetworkIDs returns the ids of all networks, in no order. Half-made ones are among them.
func (r Root) NetworkIDs() ([]string, error) { return ids(r.networks()) }

// NetworkPlace is where one network's files are: Dir below Data, Run below Run.
type NetworkPlace struct{ ID, Dir, Run string }

func (p NetworkPlace) Document() string { return p.Dir + "/network.json" }

// Addresses are those of the network that containers have claimed.
func (p NetworkPlace) Addresses() Claims {
	return Claims{p.Dir + "/addresses", "../../../containers"}
}

// Zone is the directory of the documents by which the network's containers find one another.
func (p NetworkPlace) Zone() string { return p.Run + "/endpoints" }

// Raised is there once the kernel has been told of the network since the machine was started.
func (p NetworkPlace) Raised() string { return p.Run + "/raised" }

// Make creates the network's directory and returns it locked: until the lock is given back the network is being made.
func (p NetworkPlace) Make() (*Lock, error) { return makeLocked(p.Dir) }

// Sweep deletes what a killed command left of a network that it was making or removing: a directory that nobody has locked, with
// no document, be it a damaged one.
func (p NetworkPlace) Sweep() (bool, error) { return sweepUndocumented(p.Dir, p.Document(), p.Remove) }

// Remove deletes everything the network has. The caller holds its lock. The document goes first: a removal that is interrupted
// leaves no network, only remains.
func (p NetworkPlace) Remove() error {
	err := os.Remove(p.Document())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, erase(p.Run), erase(p.Dir))
}

// Announced returns the ids of the containers that can be found on the network by name.
func (p NetworkPlace) Announced() ([]string, error) {
	all, err := names(p.Zone())
	var ids []string
	for _, name := range all {
		if id, is := strings.CutSuffix(name, ".json"); is && len(id) == IDLength {
			ids = append(ids, id)
		}
	}
	return ids, err
}
