package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/go-sockaddr/template"
)

// Real is the machine that this process runs on.
func Real() Host { return realHost{} }

type realHost struct{}

func (realHost) Hostname() (string, error) { return os.Hostname() }
func (realHost) Network() Network          { return realNetwork{} }
func (realHost) FS() FS                    { return realFS{} }
func (realHost) Exec() Exec                { return realExec{} }

type realExec struct{}

// killedWait is how long the output of a killed command is waited for: something
// that escaped its process group may hold it open for ever.
const killedWait = time.Second

func (realExec) Run(ctx context.Context, c Command) (int, error) {
	if len(c.Args) == 0 {
		return 0, errors.New("no command to run")
	}
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	// A group of its own, so that what a shell started is killed with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signal := func(s syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, s) }
	ended := make(chan struct{})
	defer close(ended)
	cmd.Cancel = func() error {
		if c.Grace == 0 {
			return signal(syscall.SIGKILL)
		}
		go func() {
			select {
			case <-ended:
			case <-time.After(c.Grace):
				_ = signal(syscall.SIGKILL) // it has ended meanwhile, if it cannot be killed
			}
		}()
		return signal(syscall.SIGTERM)
	}
	cmd.WaitDelay = c.Grace + killedWait
	err := cmd.Run()
	if ctx.Err() != nil && err != nil {
		return 0, fmt.Errorf("%s: %w", c.Args[0], context.Cause(ctx))
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return 0, nil // it has ended well; what it started has its output still
	}
	return 0, err
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
