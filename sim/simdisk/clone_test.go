package simdisk_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tribune/impl/host"
	"tribune/netmodel"
	"tribune/sim/event"
	"tribune/sim/simdisk"
)

// names are the contents of a disk's files, by name.
func names(t *rapid.T, d *simdisk.Disk) map[string]string {
	all := map[string]string{}
	for _, file := range d.Inventory() {
		b, err := host.ReadFile(d, file.Path)
		must(t, err)
		all[file.Path] = string(b)
	}
	return all
}

// Changes of a name are durable in their order: after a crash it is of the file that it
// once was of, and not of one before the last change before its directory was synced. A
// file that got another name has one of the two.
func TestNamesAfterAnyCrashAreAsTheyOnceWereSinceTheirDirectoryWasSynced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDisk(rapid.Uint64().Draw(t, "seed"))
		must(t, d.MkdirAll("a", 0o700))
		must(t, d.MkdirAll("b", 0o700))
		must(t, d.SyncDir("/"))
		everywhere := []string{"a/x", "a/y", "b/x", "b/y"}
		live := map[string]string{}
		was, durable := map[string][]string{}, map[string]int{} // what each name was of; from when on it may be after a crash
		changed := func(names ...string) {
			for _, name := range names {
				was[name] = append(was[name], live[name])
			}
		}
		changed(everywhere...)
		name := rapid.SampledFrom(everywhere)
		for i := range rapid.IntRange(1, 25).Draw(t, "steps") {
			one, two := name.Draw(t, "one"), name.Draw(t, "two")
			_, there := live[one]
			switch step := rapid.SampledFrom([]string{"create", "create", "rename", "remove", "sync"}).Draw(t, "step"); {
			case step == "create" && !there:
				live[one] = fmt.Sprint(i)
				f, err := d.OpenFile(one, os.O_WRONLY|os.O_CREATE, 0o600)
				must(t, err)
				_, err = fmt.Fprint(f, live[one])
				must(t, err)
				must(t, f.Sync())
				changed(one)
			case step == "rename" && there && one != two:
				must(t, d.Rename(one, two))
				live[two] = live[one]
				delete(live, one)
				changed(one, two)
			case step == "remove" && there:
				must(t, d.Remove(one))
				delete(live, one)
				changed(one)
			case step == "sync":
				must(t, d.SyncDir(path.Dir(one)))
				for name := range was {
					if path.Dir(name) == path.Dir(one) {
						durable[name] = len(was[name]) - 1
					}
				}
			}
		}
		for seed := range uint64(8) {
			c := d.Clone(seed)
			c.Crash()
			got, files := names(t, c), map[string]string{}
			for _, name := range everywhere {
				file := got[name]
				if possible := was[name][durable[name]:]; !slices.Contains(possible, file) {
					t.Fatalf("seed %d: after the crash %s is of %q; possible is %q", seed, name, file, possible)
				}
				if other := files[file]; file != "" && other != "" {
					t.Fatalf("seed %d: after the crash %s and %s are of the same file", seed, name, other)
				}
				files[file] = name
			}
		}
		if got := names(t, d); !maps.Equal(got, live) {
			t.Fatalf("crashes of clones changed the disk: %q, not %q", got, live)
		}
	})
}

// TestNamesAreDurableEachForItself has three names in two directories, of which a crash
// may leave any, and then one directory synced.
func TestNamesAreDurableEachForItself(t *testing.T) {
	d := newDisk(1)
	must(t, d.MkdirAll("a", 0o700))
	must(t, d.MkdirAll("b", 0o700))
	must(t, d.SyncDir("/"))
	for _, name := range []string{"a/f", "a/g", "b/f"} {
		open(t, d, name, os.O_RDWR|os.O_CREATE)
	}
	left := func() string {
		seen := map[string]bool{}
		for seed := range uint64(64) {
			c := d.Clone(seed)
			c.Crash()
			var files []string
			for _, f := range c.Inventory() {
				files = append(files, f.Path)
			}
			seen[strings.Join(files, "+")] = true
		}
		return strings.Join(slices.Sorted(maps.Keys(seen)), " ")
	}
	if got := left(); got != " a/f a/f+a/g a/f+a/g+b/f a/f+b/f a/g a/g+b/f b/f" {
		t.Errorf("crashes left %q", got)
	}
	must(t, d.SyncDir("b"))
	if got := left(); got != "a/f+a/g+b/f a/f+b/f a/g+b/f b/f" {
		t.Errorf("when b was synced crashes left %q", got)
	}
}

func TestAClonesCrashTearsAWriteInEveryWay(t *testing.T) {
	d := newDisk(1)
	f := open(t, d, "f", os.O_RDWR|os.O_CREATE)
	_, err := f.Write([]byte(strings.Repeat("o", 2*sector)))
	must(t, err)
	must(t, f.Sync())
	must(t, d.SyncDir("/"))
	_, err = f.WriteAt([]byte(strings.Repeat("n", 2*sector)), 0)
	must(t, err)
	seen := map[string]bool{}
	for seed := range uint64(64) {
		c := d.Clone(seed)
		c.Crash()
		b, err := host.ReadFile(c, "f")
		must(t, err)
		seen[strings.ReplaceAll(strings.ReplaceAll(string(b), strings.Repeat("o", sector), "o"), strings.Repeat("n", sector), "n")] = true
		again := d.Clone(seed)
		again.Crash()
		if same, err := host.ReadFile(again, "f"); err != nil || string(same) != string(b) {
			t.Fatalf("seed %d: one seed, two crashes", seed)
		}
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, []string{"nn", "no", "on", "oo"}) {
		t.Errorf("crashes left %v", got)
	}
}

// TestACrashLeavesAnyLengthThatAFileHadSinceItsSync has a small file written anew in place,
// as long as it was, and a log appended to.
func TestACrashLeavesAnyLengthThatAFileHadSinceItsSync(t *testing.T) {
	d := newDisk(1)
	write := func(name string, flag int, text string) host.File {
		f := open(t, d, name, os.O_WRONLY|os.O_CREATE|flag)
		_, err := f.Write([]byte(text))
		must(t, err)
		return f
	}
	must(t, write("/small", os.O_TRUNC, "old").Sync())
	must(t, write("/log", os.O_APPEND, "1").Sync())
	must(t, d.SyncDir("/"))
	write("/small", os.O_TRUNC, "new")
	write("/log", os.O_APPEND, "2")
	write("/log", os.O_APPEND, "34")
	for _, c := range []struct{ name, want string }{{"/small", " n ne new o ol old"}, {"/log", "1 12 123 1234"}} {
		seen := map[string]bool{}
		for seed := range uint64(512) {
			crashed := d.Clone(seed)
			crashed.Crash()
			seen[strings.TrimRight(string(crashed.Content(c.name)), "\x00")] = true
		}
		if got := strings.Join(slices.Sorted(maps.Keys(seen)), " "); got != c.want {
			t.Errorf("crashes leave of %s %q, not %q", c.name, got, c.want)
		}
	}
}

// A sync that fails has not made a length durable, nor does it take one away.
func TestLengthsAreAsSyncsThatSucceededPromise(t *testing.T) {
	inBubble(t, func(t *testing.T, loop *event.Loop) {
		d := simdisk.New("d", loop, ignore{}, 1, simdisk.Options{Sync: netmodel.Constant(time.Second)})
		f := open(t, d, "f", os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		must(t, d.SyncDir("/"))
		lengths := func() string {
			seen := map[int]bool{}
			for seed := range uint64(256) {
				c := d.Clone(seed)
				c.Crash()
				seen[len(c.Content("f"))] = true
			}
			return fmt.Sprint(slices.Sorted(maps.Keys(seen)))
		}
		expect := func(when, want string) {
			t.Helper()
			if got := lengths(); got != want {
				t.Errorf("%s a crash leaves one of the lengths %s, not %s", when, got, want)
			}
		}
		write := func(text string) {
			_, err := f.Write([]byte(text))
			must(t, err)
		}
		write("ab")
		remove := d.Fail(simdisk.FailRule{Op: "sync"})
		failed, good := make(chan error, 1), make(chan error, 1)
		go func() { failed <- f.Sync() }()
		synctest.Wait()
		remove()
		expect("during a sync", "[0 1 2]")
		write("c")
		time.Sleep(time.Second / 2)
		go func() { good <- f.Sync() }()
		synctest.Wait()
		write("d")
		if err := <-failed; err == nil {
			t.Fatal("no error")
		}
		expect("after a sync that failed", "[0 1 2 3 4]")
		must(t, <-good)
		expect("after a sync that began before the last write", "[3 4]")
		must(t, f.Sync())
		expect("after a sync", "[4]")
	})
}

func TestTakingARuleAwayLeavesTheOthersAsTheyWere(t *testing.T) {
	strikes := func(other bool) (hit []int) {
		d := newDisk(7)
		f := open(t, d, "f", os.O_RDWR|os.O_CREATE)
		if other {
			d.Fail(simdisk.FailRule{Name: "one", Op: "write", Glob: "f", Probability: 0.5})
		}
		d.Fail(simdisk.FailRule{Name: "two", Op: "write", Glob: "f", Probability: 0.3, Err: errOther})
		for i := range 200 {
			if _, err := f.WriteAt([]byte("x"), 0); err != nil && (!other || strings.Contains(err.Error(), errOther.Error())) {
				hit = append(hit, i)
			}
		}
		return hit
	}
	alone, together := strikes(false), strikes(true)
	if len(alone) == 0 || len(together) == 0 || len(together) >= len(alone) {
		t.Fatalf("%d strikes alone, %d behind another rule", len(alone), len(together))
	}
	for _, i := range together {
		if !slices.Contains(alone, i) {
			t.Errorf("write %d fails only if there is another rule", i)
		}
	}
}

var errOther = fmt.Errorf("the other error")

// Of every sector a crash leaves what a sync that succeeded wrote there, or what
// was written since; a sync that fails promises nothing, and breaks no promise
// that was given before or is given after.
func TestSectorsAfterAnyCrashAreAsSyncsThatSucceededPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDisk(rapid.Uint64().Draw(t, "seed"))
		f, err := d.OpenFile("f", os.O_RDWR|os.O_CREATE, 0o600)
		must(t, err)
		const sectors = 5
		_, err = f.Write(make([]byte, sectors*sector))
		must(t, err)
		must(t, f.Sync())
		must(t, d.SyncDir("/"))
		var possible [sectors][]byte // first bytes that a sector may have
		var dirty [sectors]bool
		for i := range possible {
			possible[i] = []byte{0}
		}
		for step := range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"write", "write", "sync", "fail", "kill"}).Draw(t, "step") {
			case "write":
				at := rapid.IntRange(0, sectors-1).Draw(t, "at")
				_, err := f.WriteAt([]byte{byte(step + 1)}, int64(at*sector))
				must(t, err)
				possible[at], dirty[at] = append(possible[at], byte(step+1)), true
			case "sync":
				must(t, f.Sync())
				for at := range possible {
					if dirty[at] {
						possible[at] = possible[at][len(possible[at])-1:]
					}
				}
				dirty = [sectors]bool{}
			case "fail":
				remove := d.Fail(simdisk.FailRule{Op: "sync"})
				if f.Sync() == nil {
					t.Fatal("no error")
				}
				remove()
				dirty = [sectors]bool{}
			case "kill":
				d.Kill()
				f, err = d.OpenFile("f", os.O_RDWR, 0)
				must(t, err)
			}
		}
		for seed := range uint64(8) {
			c := d.Clone(seed)
			c.Crash()
			b, err := host.ReadFile(c, "f")
			must(t, err)
			for at, all := range possible {
				if !slices.Contains(all, b[at*sector]) {
					t.Fatalf("seed %d: sector %d is %d; possible is %v", seed, at, b[at*sector], all)
				}
			}
		}
	})
}

func TestTheInventorySaysWhatIsNotDurable(t *testing.T) {
	d := newDisk(1)
	write := func(name string, bytes int, sync bool) {
		f, err := d.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		must(t, err)
		_, err = f.Write(make([]byte, bytes))
		must(t, err)
		if sync {
			must(t, f.Sync())
		}
		must(t, f.Close())
	}
	must(t, d.MkdirAll("/dir", 0o700))
	must(t, d.SyncDir("/"))
	write("/dir/a", 600, true)
	must(t, d.SyncDir("/dir"))
	write("/dir/a", 10, false)
	write("/dir/b", 5, true)
	want := []simdisk.FileInfo{
		{Path: "dir/a", Size: 610, Durable: 600, Unsynced: sector},
		{Path: "dir/b", Size: 5, Durable: 5, Unnamed: true},
	}
	if got := d.Inventory(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}
