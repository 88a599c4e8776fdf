package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// NetworkNames are the claimed names of networks.
func (r Root) NetworkNames() Claims {
	return Claims{filepath.Join(r.Data, "networknames"), "../networks"}
}

func (r Root) networks() string { return filepath.Join(r.Data, "networks") }

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

// Make creates the network's directory and returns it locked: until the lock is given back the network is being made.
func (p NetworkPlace) Make() (*Lock, error) { return makeLocked(p.Dir) }

// Remove deletes everything the network has. The caller holds its lock. The document goes first: a removal that is interrupted
// leaves no network, only remains.
func (p NetworkPlace) Remove() error {
	err := os.Remove(p.Document())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, erase(p.Run), erase(p.Dir))
}
