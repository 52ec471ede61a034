// Package host holds the seams through which an agent reaches the outside: a
// network, a disk, and the commands that a person wants to be run. Nothing else
// is abstracted. Time, randomness and concurrency are used plainly everywhere in
// the agent.
//
// On a real machine [Real] answers with packages net, os and os/exec. A
// simulated world answers with a simulated network and a simulated disk, and
// with commands whose outcome a scenario plays. The halves must behave alike: an
// agent cannot tell which one it runs on.
//
// # Durability rules of FS
//
// Written bytes are durable after a successful [File.Sync]. A created, renamed
// or removed name is durable after a successful [FS.SyncDir] of the directory
// that holds it. Before that, a crash may keep any part of them, in any order.
// After Sync has failed, nothing may be assumed of the unsynced bytes, even if
// a later Sync succeeds.
//
// # Concurrency rules
//
// All methods may be called from several goroutines. ReadAt and WriteAt on one
// File may run at the same time; Read, Write and Seek share the file's offset
// and need one caller at a time.
package host

import (
	"context"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"time"
)

// Host is the machine an agent runs on.
type Host interface {
	// Hostname is the machine's name, the default for an agent's node name.
	Hostname() (string, error)
	// Network is the machine's network.
	Network() Network
	// FS is the machine's file system.
	FS() FS
	// Exec runs commands on the machine.
	Exec() Exec
}

// Exec runs commands.
type Exec interface {
	// Run runs a command and returns when it has ended, with its exit status. What it
	// leaves behind lives on, and is not heard any more a moment later. If the context
	// ends first, the command is killed with all that it started, after its grace,
	// and the error wraps the context's; the status of one that ends by itself in its
	// grace is returned. An error with any other cause says that the command could not
	// be started or was killed by somebody else.
	Run(ctx context.Context, c Command) (status int, err error)
}

// Command is what is to be run.
type Command struct {
	Args           []string // the program, looked up in PATH, and its arguments
	Env            []string // KEY=VALUE, in addition to the agent's own environment
	Stdin          io.Reader
	Stdout, Stderr io.Writer // may be the same; nil: discarded
	// Grace is how long the command has to end by itself when the context has ended:
	// it is asked to (SIGTERM) and killed only after that time; 0: killed at once. One
	// that has grace is also asked when this process is killed, if only the command
	// itself and not what it started.
	Grace time.Duration
	// Hurry ends the grace when it is closed; nil: nothing does.
	Hurry <-chan struct{}
	// Terminal leaves the command at the terminal of this process, if that has one:
	// the command can read from it, and its keys for signals (Ctrl-C, Ctrl-Z) reach the
	// command as well. Without it the command gets none of that, and stops for ever when
	// it wants to read there.
	Terminal bool
}

// Network opens sockets. Errors are those of package net: *net.OpError
// wrapping a syscall error (ECONNREFUSED, ECONNRESET, EADDRINUSE, ...) or a
// deadline error for which net.Error.Timeout reports true.
type Network interface {
	// Listen accepts streams on address, "HOST:PORT" with an IP or empty host;
	// port 0 picks a free one. The network is "tcp".
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	// ListenPacket receives datagrams on address. The network is "udp".
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	// Dial opens a stream ("tcp") or a connected datagram socket ("udp") to
	// address; the context bounds the time that connecting takes.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	// LookupHost resolves a name to IP addresses in text form, sorted.
	LookupHost(ctx context.Context, name string) ([]string, error)
	// Addrs lists the unicast addresses of the machine's interfaces that are up,
	// without those that mean something on this machine or its link alone.
	Addrs() ([]netip.Addr, error)
	// Proxy is the proxy by which the machine's environment wants a URL to be asked for
	// (HTTP_PROXY, HTTPS_PROXY, NO_PROXY); nil: none.
	Proxy(to *url.URL) (*url.URL, error)
	// Expand replaces what is between {{ and }} in text by what that says about the
	// machine's interfaces, such as {{ GetInterfaceIP "eth0" }}, in the language of
	// github.com/hashicorp/go-sockaddr/template. Nothing stands for what is not there.
	Expand(text string) (string, error)
}

// FS is a file system. Paths are slash separated, as package path joins them.
// Errors satisfy errors.Is with fs.ErrNotExist, fs.ErrExist, fs.ErrPermission
// and syscall.ENOSPC, syscall.EIO where these are the cause.
type FS interface {
	// OpenFile opens name with the flags of package os (O_RDONLY, O_RDWR,
	// O_CREATE, O_EXCL, O_TRUNC, O_APPEND).
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// MkdirAll creates a directory and its missing parents.
	MkdirAll(name string, perm fs.FileMode) error
	// ReadDir lists a directory sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Stat describes a file or a directory.
	Stat(name string) (fs.FileInfo, error)
	// Rename moves a file or directory, replacing a file that has the new name.
	Rename(oldName, newName string) error
	// Remove deletes a file or an empty directory.
	Remove(name string) error
	// RemoveAll deletes a tree; a missing one is no error.
	RemoveAll(name string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Lock takes an exclusive lock named by a file, held until Close or until
	// the process ends, however it ends. A lock that somebody else holds is an
	// error at once.
	Lock(name string) (io.Closer, error)
}

// File is an open file.
type File interface {
	io.Reader
	io.Writer
	io.ReaderAt
	io.WriterAt
	io.Seeker
	io.Closer
	// Name is the path the file was opened with.
	Name() string
	// Stat describes the file.
	Stat() (fs.FileInfo, error)
	// Sync makes the file's bytes and its length durable.
	Sync() error
	// Truncate sets the file's length; what it gains reads as zero.
	Truncate(size int64) error
}
