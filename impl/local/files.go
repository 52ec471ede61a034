package local

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strings"
	"time"

	"tribune/impl/api"
	"tribune/impl/host"
)

// The directories, below the agent's own. A file's name is the hash of what it is
// about, since an ID may hold anything.
const (
	servicesDir = "services"
	checksDir   = "checks"
	findingsDir = "checks/state" // what TTL checks found
)

// finding is what a TTL check found and until when it counts. A restart that takes
// no longer leaves the check as it is.
type finding struct {
	ID     string
	Status string
	Output string
	Until  time.Time
}

// files are the registrations on disk.
type files struct {
	fs  host.FS
	dir string
	log *slog.Logger
}

func (f files) file(dir, id string) string {
	sum := sha256.Sum256([]byte(id))
	return path.Join(f.dir, dir, hex.EncodeToString(sum[:]))
}

func (f files) keepService(d api.ServiceDefinition) error {
	d.Check, d.Checks = nil, nil // these have files of their own
	return f.keep(servicesDir, d.ID, d)
}

func (f files) keepCheck(d api.CheckDefinition) error { return f.keep(checksDir, d.CheckID, d) }

// keep writes a file durably: a registration that was answered stays.
func (f files) keep(dir, id string, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		err = host.ReplaceFile(f.fs, f.file(dir, id), b)
	}
	if err != nil {
		return fmt.Errorf("the registration of %q could not be kept: %w", id, err)
	}
	return nil
}

// keepFinding writes a file that a crash may take or tear: the check is critical
// then until the next word, as it would be without.
func (f files) keepFinding(found finding) error {
	b, err := json.Marshal(found)
	if err != nil {
		return err
	}
	to, err := f.fs.OpenFile(f.file(findingsDir, found.ID), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = to.Write(b)
		err = errors.Join(err, to.Close())
	}
	if err != nil {
		return fmt.Errorf("what check %q found could not be kept: %w", found.ID, err)
	}
	return nil
}

func (f files) forgetService(id string) error { return f.remove(servicesDir, id) }

func (f files) forgetCheck(id string) error {
	return errors.Join(f.remove(findingsDir, id), f.remove(checksDir, id))
}

// forgetCheckAlone forgets a check without a service. The process may have ended because
// the service could not be forgotten for good, and then it would come back alone.
func (f files) forgetCheckAlone(id string) error {
	if err := f.fs.SyncDir(path.Join(f.dir, servicesDir)); err != nil {
		return fmt.Errorf("the check %q could not be forgotten: %w", id, err)
	}
	return f.forgetCheck(id)
}

// remove deletes a file durably, if it is there.
func (f files) remove(dir, id string) error {
	name := f.file(dir, id)
	err := f.fs.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) { // it may have been removed, and not durably
		err = f.fs.SyncDir(path.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("the registration of %q could not be forgotten: %w", id, err)
	}
	return nil
}

// kept reads the files of a directory, in the order of their names. One that
// cannot be read is told of and left where it is; then whole is not set.
func kept[Record any](f files, dir string) (found []Record, whole bool, err error) {
	dir = path.Join(f.dir, dir)
	if err := host.MakeDir(f.fs, dir, 0o700); err != nil {
		return nil, false, err
	}
	entries, err := f.fs.ReadDir(dir)
	if err != nil {
		return nil, false, err
	}
	whole = true
	for _, e := range entries {
		if e.IsDir() || strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		var r Record
		b, err := host.ReadFile(f.fs, path.Join(dir, e.Name()))
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			f.log.Error("a registration on disk is left out: it cannot be read", "file", path.Join(dir, e.Name()), "error", err)
			whole = false
			continue
		}
		found = append(found, r)
	}
	return found, whole, nil
}
