package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/go-sockaddr/template"
	"golang.org/x/net/http/httpproxy"
)

// Real is the machine that this process runs on.
func Real() Host { return realHost{} }

type realHost struct{}

func (realHost) Hostname() (string, error) { return os.Hostname() }
func (realHost) Network() Network          { return realNetwork{} }
func (realHost) FS() FS                    { return realFS{} }
func (realHost) Exec() Exec                { return realExec{} }

type realExec struct{}

// leftWait is how long output is waited for when a command has ended: what it left
// behind, or what escaped being killed, may hold it open for ever.
const leftWait = time.Second

func (realExec) Run(ctx context.Context, c Command) (int, error) {
	if len(c.Args) == 0 {
		return 0, errors.New("no command to run")
	}
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.WaitDelay = leftWait
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	tell := tellFamily
	if !c.Terminal || !hasTerminal() {
		// A group of its own, so that what a shell started is told and killed with it.
		// A terminal listens to one group only, and there it must be this process's.
		cmd.SysProcAttr.Setpgid, tell = true, tellGroup
	}
	if c.Grace > 0 {
		// The kernel sends it when the thread ends that started the command: keep that.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	}
	err := ctx.Err()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		ended, told := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(told)
			c.endWith(ctx, ended, func(s syscall.Signal) { tell(cmd.Process.Pid, s) })
		}()
		err = cmd.Wait()
		close(ended)
		<-told
	}
	return c.outcome(ctx, cmd, err)
}

// endWith asks a command to end when the context has ended, and kills it when its
// grace is over, unless it has ended.
func (c Command) endWith(ctx context.Context, ended <-chan struct{}, tell func(syscall.Signal)) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	if c.Grace > 0 {
		tell(syscall.SIGTERM)
		select {
		case <-ended:
			return
		case <-time.After(c.Grace):
		case <-c.Hurry:
		}
	}
	tell(syscall.SIGKILL)
}

// outcome is what Run says about a command that has ended with an error of os/exec's.
func (c Command) outcome(ctx context.Context, cmd *exec.Cmd, err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	case errors.Is(err, exec.ErrWaitDelay):
		return 0, nil // it has ended well; what it started has its output still
	case err != nil && ctx.Err() != nil:
		return 0, fmt.Errorf("%s: %w", c.Args[0], context.Cause(ctx))
	}
	return 0, err
}

// hasTerminal says whether somebody sits in front of this process.
func hasTerminal() bool {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	_ = f.Close() // nothing was written
	return true
}

// tellGroup sends a signal to a group of processes. That it cannot says that they have
// ended meanwhile.
func tellGroup(leader int, s syscall.Signal) { _ = syscall.Kill(-leader, s) }

// tellFamily sends a signal to a process, then to its children, theirs and so on, as
// far as their parents have not left them.
func tellFamily(head int, s syscall.Signal) {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is all right
	for _, name := range stats {
		text, _ := os.ReadFile(name) // of a process that may be gone: none, then
		var pid, parent int
		var state string
		if i := bytes.LastIndexByte(text, ')'); i > 0 { // behind the name, which may be anything
			_, _ = fmt.Sscan(string(text), &pid)
			_, _ = fmt.Sscan(string(text[i+1:]), &state, &parent)
			children[parent] = append(children[parent], pid)
		}
	}
	family := []int{head}
	for i := 0; i < len(family); i++ {
		family = append(family, children[family[i]]...)
	}
	for _, pid := range family {
		_ = syscall.Kill(pid, s)
	}
}

type realNetwork struct{}

func (realNetwork) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	var c net.ListenConfig
	return c.Listen(ctx, network, address)
}

func (realNetwork) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	var c net.ListenConfig
	return c.ListenPacket(ctx, network, address)
}

func (realNetwork) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

func (realNetwork) LookupHost(ctx context.Context, name string) ([]string, error) {
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return nil, err
	}
	slices.Sort(addrs)
	return addrs, nil
}

func (realNetwork) Addrs() ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		found, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue // an address that is no IP network has no use here
			}
			if ip := p.Addr().Unmap(); ip.IsGlobalUnicast() && !ip.IsLoopback() {
				addrs = append(addrs, ip)
			}
		}
	}
	return addrs, nil
}

func (realNetwork) Proxy(to *url.URL) (*url.URL, error) {
	return httpproxy.FromEnvironment().ProxyFunc()(to)
}

func (realNetwork) Expand(text string) (string, error) { return template.Parse(text) }

type realFS struct{}

func (realFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // not f: a nil *os.File would be a File that is not nil
	}
	return f, nil
}

func (realFS) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (realFS) ReadDir(name string) ([]fs.DirEntry, error)   { return os.ReadDir(name) }
func (realFS) Stat(name string) (fs.FileInfo, error)        { return os.Stat(name) }
func (realFS) Rename(oldName, newName string) error         { return os.Rename(oldName, newName) }
func (realFS) Remove(name string) error                     { return os.Remove(name) }
func (realFS) RemoveAll(name string) error                  { return os.RemoveAll(name) }

func (realFS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// Lock uses flock(2): the kernel drops it when the process ends.
func (realFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, &fs.PathError{Op: "lock", Path: name, Err: fmt.Errorf("in use by another process: %w", err)}
	}
	return f, nil
}
