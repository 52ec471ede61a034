// Command tribune is the agent and its command line: service discovery and
// configuration that speaks Consul's API. `tribune agent` runs an agent; the other
// verbs talk to one. All of it is in package cli; what is here are the parts that
// belong to the process: its streams, its signals and its exit status.
package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"

	"tribune/impl/cli"
	"tribune/impl/host"
)

func main() {
	os.Exit(cli.Run(cli.Env{
		Host: host.Real(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Signals: signals, Stops: stops, Hangups: hangups, OutliveReaders: outliveReaders,
	}, os.Args[1:]))
}

// signals ends the context at the first SIGINT or SIGTERM. A second one kills
// the process, as if it had not been caught.
func signals(parent context.Context) (context.Context, func() cli.Signal) {
	ctx, cancel := context.WithCancel(parent)
	caught := make(chan os.Signal, 1)
	var got atomic.Value
	got.Store(cli.None)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		if <-caught == syscall.SIGINT {
			got.Store(cli.Interrupt)
		} else {
			got.Store(cli.Terminate)
		}
		signal.Stop(caught)
		cancel()
	}()
	return ctx, func() cli.Signal { return got.Load().(cli.Signal) }
}

// stops ends a context at the first signal to stop and another at the second. What the
// process was started to ignore (nohup) it ignores still.
func stops(parent context.Context) (stopped, hurried context.Context, release func()) {
	stopped, stop := context.WithCancel(parent)
	hurried, hurry := context.WithCancel(parent)
	caught := make(chan os.Signal, 2)
	asking := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}
	signal.Notify(caught, slices.DeleteFunc(asking, signal.Ignored)...)
	go func() {
		<-caught
		stop()
		<-caught
		hurry()
	}()
	return stopped, hurried, func() { signal.Stop(caught) }
}

// hangups receives at each SIGHUP.
func hangups() <-chan struct{} {
	caught, asked := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(caught, syscall.SIGHUP)
	go func() {
		for range caught {
			asked <- struct{}{}
		}
	}()
	return asked
}

// outliveReaders catches SIGPIPE, and lets it be. It is not ignored: the commands that
// the process starts would ignore it as well.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
