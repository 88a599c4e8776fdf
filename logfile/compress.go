package logfile

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"
)

// header is what Docker keeps in the gzip header of a log file: whoever wants newer entries need not read it.
type header struct {
	LastTime time.Time `json:"lastTime"`
}

// Compress replaces the log file at path, opened as from, by a compressed one. Until that is complete it has another name, and the
// other file stays.
func Compress(from io.Reader, path string, last time.Time) error {
	unfinished := path + ".part"
	to, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	err = errors.Join(squeeze(to, from, last), to.Close())
	if err == nil {
		err = os.Rename(unfinished, path+zipped)
	}
	if err != nil {
		return errors.Join(err, os.Remove(unfinished))
	}
	return os.Remove(path)
}

func squeeze(to io.Writer, from io.Reader, last time.Time) error {
	z := gzip.NewWriter(to)
	extra, err := json.Marshal(header{last.UTC()})
	if err != nil {
		return err
	}
	z.Extra = extra
	if _, err := io.Copy(z, from); err != nil {
		return err
	}
	return z.Close()
}
