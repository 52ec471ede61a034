package launch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The cache holds a folder of patched sources for each set of patches, in overlay, and
// a folder of binaries for each program that was built with one, in bin. The newest time
// in a folder is when somebody last asked for it.
const (
	// cacheRoom is how many bytes the cache keeps of what is not in use.
	cacheRoom = 4 << 30
	// inUse is how long somebody may go on to start a binary after asking for it. A
	// process that starts itself anew needs no file.
	inUse = 2 * time.Hour
)

// cacheDir is where the cache is.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("a place for the binaries built with the runtime overlay: %w", err)
	}
	return filepath.Join(dir, "tribune"), nil
}

// claim makes a build's folders, says that they are in use, and keeps others from
// building in bin and from sweeping until release is called.
func claim(cache, sources, bin string) (release func(), err error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	noSweep, err := lock(cache, syscall.LOCK_SH)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for _, dir := range []string{sources, bin} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chtimes(dir, now, now)); err != nil {
			noSweep()
			return nil, err
		}
	}
	noBuild, err := lock(bin, syscall.LOCK_EX)
	if err != nil {
		noSweep()
		return nil, err
	}
	return func() { noBuild(); noSweep() }, nil
}

// sweep removes the folders that were asked for longest ago until those that are not in
// use have room. Where somebody builds it leaves everything to that build's own sweep.
func sweep(cache string) {
	unlock, err := lock(cache, syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		return
	}
	defer unlock()
	type folder struct {
		name  string
		asked time.Time
		size  int64
	}
	var folders []folder
	names, _ := filepath.Glob(filepath.Join(cache, "*", "*")) // the pattern is well formed
	for _, name := range names {
		if asked, size := used(name); time.Since(asked) > inUse {
			folders = append(folders, folder{name, asked, size})
		}
	}
	slices.SortFunc(folders, func(a, b folder) int { return b.asked.Compare(a.asked) })
	room := int64(cacheRoom)
	for _, f := range folders {
		if room -= f.size; room < 0 {
			_ = os.RemoveAll(f.name) // only costs room
		}
	}
}

// used says when somebody last asked for what a folder holds, and how many bytes that is.
func used(dir string) (asked time.Time, bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // what has gone meanwhile counts for nothing
		}
		if info, err := d.Info(); err == nil {
			if info.ModTime().After(asked) {
				asked = info.ModTime()
			}
			if info.Mode().IsRegular() {
				bytes += info.Size()
			}
		}
		return nil
	})
	return asked, bytes
}

// stillUsed keeps a binary in the cache for another while; one from elsewhere is not ours.
func stillUsed(binary string) {
	cache, err := cacheDir()
	if err != nil || !strings.HasPrefix(binary, cache+string(filepath.Separator)) {
		return
	}
	now := time.Now()
	_ = os.Chtimes(binary, now, now) // if it is gone, starting it says so
}

// keep gives the binary a name made of its content and returns it, and whether it is new,
// and removes those of the folder that are not in use any more.
func keep(dir, building string) (kept string, fresh bool, err error) {
	content, err := digest(building)
	if err != nil {
		return "", false, err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*", filepath.Base(building)))
	if err != nil {
		return "", false, err
	}
	kept = filepath.Join(dir, content[:16], filepath.Base(building))
	for _, name := range old {
		if info, err := os.Stat(name); err == nil && name != kept && time.Since(info.ModTime()) > inUse {
			_ = os.RemoveAll(filepath.Dir(name)) // only costs room
		}
	}
	now := time.Now() // one that is used again is not old
	if err := os.Chtimes(kept, now, now); err == nil {
		return kept, false, nil
	}
	return kept, true, copyFile(kept, building)
}

// copyFile makes to a copy of from that appears at once.
func copyFile(to, from string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	temp := fmt.Sprintf("%s.%d", to, os.Getpid())
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(temp, to)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// lock locks a folder, as flock(2) has it with how, until unlock is called or this
// process ends.
func lock(dir string, how int) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}
