package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

func isURL(name string) bool {
	return strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://")
}

// fetch asks for a URL, by the proxies of the environment.
func fetch(ctx context.Context, address string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode < http.StatusBadRequest {
		return answer, nil
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err != nil {
		return nil, fmt.Errorf("failed to GET %s with status %s: error reading body: %w", address, answer.Status, err)
	}
	return nil, fmt.Errorf("failed to GET %s with status %s: %s", address, answer.Status, bytes.TrimSpace(said))
}

// whole copies an answer's body, and does not take for all what the server broke off.
func whole(to io.Writer, answer *http.Response) error {
	n, err := io.Copy(to, answer.Body)
	if err == nil && answer.ContentLength >= 0 && n != answer.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// unnamed is what a file from a URL is called that says no name, as in Docker.
const unnamed = "__unnamed__"

// fileName is what a downloaded file is called: by its URL, or by what the server says.
func fileName(u *url.URL, header http.Header) string {
	if u.Path != "" && !strings.HasSuffix(u.Path, "/") {
		return path.Base(u.Path)
	}
	_, params, err := mime.ParseMediaType(header.Get("Content-Disposition"))
	if name := params["filename"]; err == nil && name != "" && !strings.HasSuffix(name, "/") {
		if base := filepath.Base(name); base != "." && base != ".." {
			return base
		}
	}
	return ""
}

// checksummed refuses --checksum where it means nothing.
func (o *Order) checksummed() error {
	switch {
	case o.Checksum == "":
		return nil
	case !o.Add:
		return errors.New("checksum can't be specified for COPY")
	case len(o.Paths) != 1:
		return errors.New("checksum can't be specified for multiple sources")
	}
	repo, err := gitSource(o.Paths[0])
	switch {
	case err != nil:
		return err
	case repo != nil:
		return nil
	case !isURL(o.Paths[0]):
		return errors.New("checksum requires HTTP(S) or Git sources")
	}
	return o.Checksum.Validate()
}

// download fetches a file for ADD. Nobody but root may read it, and its time is what the server says, or none.
func (p *Parcel) download(ctx context.Context, address string) error {
	o := &p.order
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	answer, err := fetch(ctx, address)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	name := fileName(u, answer.Header)
	if name == "" {
		if strings.HasSuffix(o.Dest, "/") {
			return fmt.Errorf("cannot determine filename for source %s", address)
		}
		name = unnamed
	}
	dir, err := p.temp("add-")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, name)
	if err := save(file, answer, o.Checksum); err != nil {
		return err
	}
	o.tell("")
	when := time.Unix(0, 0)
	if said, err := http.ParseTime(answer.Header.Get("Last-Modified")); err == nil {
		when = said
	}
	if err := os.Chtimes(file, when, when); err != nil {
		return err
	}
	tree, err := p.own(dir)
	if err != nil {
		return err
	}
	found := &piece{tree: tree, path: name, called: name, bareSum: true}
	if o.Unpack != nil && *o.Unpack {
		at, err := tree.at(name)
		if err != nil {
			return err
		}
		defer at.close()
		if found.unpack, err = isArchive(at.fd); err != nil {
			return err
		}
	}
	p.pieces = append(p.pieces, found)
	return nil
}

// save writes an answer's body to a new file, which must have the digest, if there is one.
func save(file string, answer *http.Response, want digest.Digest) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	algorithm := digest.SHA256
	if want != "" {
		algorithm = want.Algorithm()
	}
	sum := algorithm.Digester()
	if err := whole(io.MultiWriter(f, sum.Hash()), answer); err != nil {
		return fmt.Errorf("downloading %s: %w", answer.Request.URL, err)
	}
	if got := sum.Digest(); want != "" && got != want {
		return fmt.Errorf("digest mismatch %s: %s", got, want)
	}
	return f.Close()
}

// temp makes a directory that goes with the parcel.
func (p *Parcel) temp(prefix string) (string, error) {
	dir, err := os.MkdirTemp(p.order.Temp, prefix)
	if err == nil {
		p.temps = append(p.temps, dir)
	}
	return dir, err
}

// own opens a directory as a tree that goes with the parcel.
func (p *Parcel) own(dir string) (*Tree, error) {
	root, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	p.roots = append(p.roots, root)
	return &Tree{Root: root}, nil
}

// told writes a line about what is fetched.
func (o *Order) tell(line string) {
	if o.Told != nil {
		fmt.Fprint(o.Told, strings.TrimSuffix(line, "\n")+"\n")
	}
}
