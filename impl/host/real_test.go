package host_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tribune/impl/host"
)

// broken is a file system of which one operation fails.
type broken struct {
	host.FS
	op  string
	err error
}

func (b broken) fails(op, name string) error {
	if op != b.op {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: b.err}
}

func (b broken) OpenFile(name string, flag int, perm fs.FileMode) (host.File, error) {
	f, err := b.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return brokenFile{f, b}, nil
}

func (b broken) Rename(oldName, newName string) error {
	return unless(b.fails("rename", newName), func() error { return b.FS.Rename(oldName, newName) })
}

func (b broken) SyncDir(name string) error {
	return unless(b.fails("syncdir", name), func() error { return b.FS.SyncDir(name) })
}

type brokenFile struct {
	host.File
	disk broken
}

func (f brokenFile) Write(b []byte) (int, error) {
	if err := f.disk.fails("write", f.Name()); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f brokenFile) Read(b []byte) (int, error) {
	if err := f.disk.fails("read", f.Name()); err != nil {
		return 0, err
	}
	return f.File.Read(b)
}

func (f brokenFile) Sync() error {
	return unless(f.disk.fails("sync", f.Name()), f.File.Sync)
}

func (f brokenFile) Close() error {
	return errors.Join(f.disk.fails("close", f.Name()), f.File.Close())
}

func unless(err error, otherwise func() error) error {
	if err != nil {
		return err
	}
	return otherwise()
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := host.Real().FS().ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func wantContent(t *testing.T, name, want string) {
	t.Helper()
	if got, err := host.ReadFile(host.Real().FS(), name); err != nil || string(got) != want {
		t.Errorf("%s holds %.40q, %v; want %.40q", name, got, err, want)
	}
}

func TestAFileIsReplacedWhole(t *testing.T) {
	fsys, name := host.Real().FS(), path.Join(t.TempDir(), "f")
	for _, content := range []string{"a long first content", "short", ""} {
		if err := host.ReplaceFile(fsys, name, []byte(content)); err != nil {
			t.Fatal(err)
		}
		wantContent(t, name, content)
	}
	// What a crash left beside it is in nobody's way.
	if err := os.WriteFile(name+".tmp", []byte("what a crash left, which is longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := host.ReplaceFile(fsys, name, []byte("new")); err != nil {
		t.Fatal(err)
	}
	wantContent(t, name, "new")
	if got := names(t, path.Dir(name)); !slices.Equal(got, []string{"f"}) {
		t.Errorf("beside the file: %q", got)
	}
	if info, err := fsys.Stat(name); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file may be read by others: %v, %v", info, err)
	}
}

func TestWhoReadsAFileThatIsReplacedSeesOneContentWhole(t *testing.T) {
	fsys, name := host.Real().FS(), path.Join(t.TempDir(), "f")
	contents := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 10)}
	if err := host.ReplaceFile(fsys, name, contents[0]); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := range 50 {
			if err := host.ReplaceFile(fsys, name, contents[i%2]); err != nil {
				t.Error(err)
			}
		}
	})
	for range 500 {
		got, err := host.ReadFile(fsys, name)
		if err != nil || !bytes.Equal(got, contents[0]) && !bytes.Equal(got, contents[1]) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	wait.Wait()
}

func TestAReplacementThatFailsLeavesTheOldFileAndNothingElse(t *testing.T) {
	for _, op := range []string{"write", "sync", "close", "rename"} {
		dir := t.TempDir()
		name := path.Join(dir, "f")
		if err := host.ReplaceFile(host.Real().FS(), name, []byte("old")); err != nil {
			t.Fatal(err)
		}
		err := host.ReplaceFile(broken{host.Real().FS(), op, syscall.ENOSPC}, name, []byte("new"))
		if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "writing "+name+": ") {
			t.Errorf("%s: %v", op, err)
		}
		wantContent(t, name, "old")
		if got := names(t, dir); !slices.Equal(got, []string{"f"}) {
			t.Errorf("%s failed and left %q", op, got)
		}
	}
	// Whether the new name would have outlived a crash is not known: an error.
	name := path.Join(t.TempDir(), "f")
	if err := host.ReplaceFile(broken{host.Real().FS(), "syncdir", syscall.EIO}, name, nil); !errors.Is(err, syscall.EIO) {
		t.Errorf("syncdir: %v", err)
	}
}

func TestAFileCannotReplaceADirectoryNorBeInAMissingOne(t *testing.T) {
	fsys, dir := host.Real().FS(), t.TempDir()
	if err := fsys.MkdirAll(path.Join(dir, "d", "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := host.ReplaceFile(fsys, path.Join(dir, "d"), []byte("x")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a directory was to be replaced: %v", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"d"}) {
		t.Errorf("left over: %q", got)
	}
	if err := host.ReplaceFile(fsys, path.Join(dir, "none", "f"), []byte("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file in a missing directory: %v", err)
	}
}

func TestReadFileReadsAllOrSaysWhyNot(t *testing.T) {
	fsys, dir := host.Real().FS(), t.TempDir()
	name := path.Join(dir, "f")
	if _, err := host.ReadFile(fsys, name); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
		t.Errorf("a missing file: %v", err)
	}
	long := strings.Repeat("0123456789", 20_000)
	if err := os.WriteFile(name, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	wantContent(t, name, long)
	if _, err := host.ReadFile(fsys, dir); !errors.Is(err, syscall.EISDIR) || !strings.HasPrefix(err.Error(), "reading "+dir+": ") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := host.ReadFile(broken{fsys, "read", syscall.EIO}, name); !errors.Is(err, syscall.EIO) {
		t.Errorf("a disk that cannot read: %v", err)
	}
}

func TestADirectoryIsMadeWithItsParents(t *testing.T) {
	fsys, dir := host.Real().FS(), t.TempDir()
	deep := path.Join(dir, "a", "b", "c")
	for range 2 { // that it is there already is no error
		if err := host.MakeDir(fsys, deep, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := fsys.Stat(deep); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	file := path.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, path.Join(file, "a")} {
		if err := host.MakeDir(fsys, name, 0o700); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("%s, where a file is: %v", name, err)
		}
	}
	if err := host.MakeDir(broken{fsys, "syncdir", syscall.EIO}, path.Join(dir, "d"), 0o700); !errors.Is(err, syscall.EIO) {
		t.Errorf("the parent could not be synced: %v", err)
	}
}

// A data directory's parent belongs to others, often: entering it must do.
func TestADirectoryIsMadeThoughItsParentMayNotBeRead(t *testing.T) {
	fsys, parent := host.Real().FS(), path.Join(t.TempDir(), "parent")
	if err := os.Mkdir(parent, 0o300); err != nil {
		t.Fatal(err)
	}
	if err := host.MakeDir(fsys, path.Join(parent, "data"), 0o700); err != nil {
		t.Error(err)
	}
	// Where permissions do not bind this user, the error has to be made.
	if err := host.MakeDir(broken{fsys, "syncdir", fs.ErrPermission}, path.Join(parent, "more", "data"), 0o700); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(parent, 0o700); err != nil { // for the cleanup
		t.Fatal(err)
	}
	if got := names(t, parent); !slices.Equal(got, []string{"data", "more"}) {
		t.Errorf("%q", got)
	}
}

// holderEnv names, in a process that this test starts, the lock to hold.
const holderEnv = "TRIBUNE_TEST_HOLD_LOCK"

func TestALockEndsWithItsProcess(t *testing.T) {
	if name := os.Getenv(holderEnv); name != "" {
		if _, err := host.Real().FS().Lock(name); err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("held\n")
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
		return
	}
	fsys, name := host.Real().FS(), path.Join(t.TempDir(), "lock")
	holder := exec.Command(os.Args[0], "-test.run=^TestALockEndsWithItsProcess$")
	holder.Env = append(os.Environ(), holderEnv+"="+name)
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if _, err := fsys.Lock(name); !errors.Is(err, syscall.EWOULDBLOCK) || !strings.Contains(err.Error(), name+": in use by another process") {
		t.Errorf("another process holds it: %v", err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // says that it was killed
	held, err := fsys.Lock(name)
	if err != nil {
		t.Fatalf("the other process has ended: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheRealNetworkGivesTheErrorsOfPackageNet(t *testing.T) {
	ctx, network := t.Context(), host.Real().Network()
	l, err := network.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	var op *net.OpError
	if _, err := network.Listen(ctx, "tcp", address); !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &op) {
		t.Errorf("a second listener: %v", err)
	}
	c, err := network.Dial(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.SetReadDeadline(time.Unix(1, 0)), l.Close()); err != nil {
		t.Error(err)
	}
	var timeout net.Error
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("the deadline has passed: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := network.Dial(ctx, "tcp", address); !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &op) {
		t.Errorf("nobody listens: %v", err)
	}
	ended, cancel := context.WithDeadline(ctx, time.Unix(1, 0))
	defer cancel()
	if _, err := network.Dial(ended, "tcp", address); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("no time to connect: %v", err)
	}
	p, err := network.ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := network.ListenPacket(ctx, "udp", p.LocalAddr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second socket: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheRealHostKnowsItsNamesAndAddresses(t *testing.T) {
	if name, err := host.Real().Hostname(); err != nil || name == "" {
		t.Errorf("hostname %q, %v", name, err)
	}
	network := host.Real().Network()
	for _, ip := range []string{"127.0.0.1", "::1"} {
		if got, err := network.LookupHost(t.Context(), ip); err != nil || !slices.Equal(got, []string{ip}) {
			t.Errorf("an address is its own name: %q, %v", got, err)
		}
	}
	if got, err := network.LookupHost(t.Context(), "localhost"); err != nil || !slices.IsSorted(got) || len(got) == 0 {
		t.Errorf("localhost is %q, %v", got, err)
	}
	addrs, err := network.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.IsLoopback() || a.IsMulticast() || a.IsUnspecified() || a.Is4In6() }) {
		t.Errorf("nobody else reaches all of %v", addrs)
	}
}

func TestATemplateSpeaksOfTheInterfacesOfThisMachine(t *testing.T) {
	n := host.Real().Network()
	if got, err := n.Expand(`{{ GetAllInterfaces | include "name" "^lo$" | include "type" "IPv4" | limit 1 | attr "address" }}`); err != nil || got != "127.0.0.1" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := n.Expand(`{{ GetInterfaceIP "no-such-interface" }}`); err != nil || got != "" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := n.Expand("{{ GetNothing }}"); err == nil {
		t.Error("an unknown function is taken")
	}
}
