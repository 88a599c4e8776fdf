package image

import (
	"encoding/json"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/opencontainers/go-digest"
)

// legacy is a layer as Docker described it before version 1.10, one document for each. `docker save` writes these documents to this day, so
// ours does: what it writes is the same to the byte.
type legacy struct {
	ID              string            `json:"id,omitempty"`
	Parent          string            `json:"parent,omitempty"`
	Comment         string            `json:"comment,omitempty"`
	Created         *time.Time        `json:"created"`
	Container       string            `json:"container,omitempty"`
	ContainerConfig container.Config  `json:"container_config,omitempty"`
	DockerVersion   string            `json:"docker_version,omitempty"`
	Author          string            `json:"author,omitempty"`
	Config          *container.Config `json:"config,omitempty"`
	Architecture    string            `json:"architecture,omitempty"`
	Variant         string            `json:"variant,omitempty"`
	OS              string            `json:"os,omitempty"`
	Size            int64             `json:",omitempty"`
}

// legacies are the documents of an image's layers, lowest first. All but the topmost say nothing.
func legacies(config []byte, chains []digest.Digest) ([][]byte, error) {
	var top legacy
	if err := json.Unmarshal(config, &top); err != nil {
		return nil, err
	}
	top.ID, top.Parent = "", ""
	var all [][]byte
	var parent digest.Digest
	for i, chain := range chains {
		l := legacy{Created: &time.Time{}}
		*l.Created = time.Unix(0, 0).UTC()
		if i == len(chains)-1 {
			l = top
		}
		id, err := l.id(chain, parent)
		if err != nil {
			return nil, err
		}
		l.ID, l.OS = id.Encoded(), top.OS
		if parent != "" {
			l.Parent = parent.Encoded()
		}
		raw, err := json.Marshal(l)
		if err != nil {
			return nil, err
		}
		all, parent = append(all, raw), id
	}
	return all, nil
}

// id is the digest of the document with what is below it.
func (l legacy) id(chain, parent digest.Digest) (digest.Digest, error) {
	raw, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &all); err != nil {
		return "", err
	}
	names := map[string]digest.Digest{"layer_id": chain}
	if parent != "" {
		names["parent"] = parent
	}
	for name, d := range names {
		if all[name], err = json.Marshal(d); err != nil {
			return "", err
		}
	}
	raw, err = json.Marshal(all)
	return digest.FromBytes(raw), err
}

// item is an image in manifest.json of an archive of Docker's.
type item struct {
	Config       string
	RepoTags     []string
	Layers       []string
	Parent       digest.Digest            `json:",omitempty"`
	LayerSources map[digest.Digest]origin `json:",omitempty"`
}

// origin says what a layer is, its fields in the order of Docker's.
type origin struct {
	MediaType string        `json:"mediaType,omitempty"`
	Size      int64         `json:"size,omitempty"`
	Digest    digest.Digest `json:"digest,omitempty"`
}
