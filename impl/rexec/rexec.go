// Package rexec is the agent's half of remote execution (Consul documentation:
// Commands, Exec): a person runs a command on many agents at once. It is off unless
// the agent's configuration says otherwise.
//
// The protocol is Consul's and goes through the key/value store. Who wants something
// to be run creates a session, writes the Job under PREFIX/SESSION/job, locked by the
// session, and fires the event EventName with a Call. Each agent that gets the event
// writes under PREFIX/SESSION/NODE:
//
//	ack        at once, empty
//	out/00000  what the command printed, in pieces numbered in hex; an empty one
//	           says that it still runs and printed nothing
//	exit       the exit status, in decimal; 255 if it could not be run
//
// All of it is locked by the session and goes with it. When the session has ended, a
// write is refused, and the agent kills the command: nobody waits for it.
//
//   - rexec.go takes calls and fetches jobs.
//   - script.go has a script in a file while it runs.
//   - output.go carries what a command prints.
package rexec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-uuid"

	"tribune/impl/api"
	"tribune/impl/host"
)

// EventName is the name of the event that calls agents.
const EventName = "_rexec"

// The names under PREFIX/SESSION, and under PREFIX/SESSION/NODE.
const (
	JobKey    = "job"
	AckKey    = "ack"
	OutputKey = "out" // and a number
	ExitKey   = "exit"
)

// Call is the payload of the event, in JSON: where to find the job.
type Call struct {
	Prefix  string
	Session string
}

// Job says what is to be run, one of the three, in JSON.
type Job struct {
	Command string        `json:",omitempty"` // a line for the shell
	Args    []string      `json:",omitempty"` // a program and its arguments
	Script  []byte        `json:",omitempty"` // a script, run by the shell or what its first line says
	Wait    time.Duration // who waits gives up after hearing nothing for about so long
}

// KV is the key/value store.
type KV interface {
	KVGet(context.Context, api.KVRequest) (api.KVResponse, error)
	KVApply(context.Context, api.KVApplyRequest) (api.KVApplyResponse, error)
}

// Config says on whose behalf jobs are run.
type Config struct {
	Node   string
	Host   host.Host
	Dir    string // for scripts while they run
	KV     KV
	Logger *slog.Logger
}

// Runner runs jobs.
type Runner struct {
	config Config
	ctx    context.Context
	stop   context.CancelFunc
	mu     sync.Mutex // of closed, and of adding to jobs
	closed bool
	jobs   sync.WaitGroup
}

// New returns a runner without jobs. It removes scripts that were left when an agent was
// killed.
func New(c Config) *Runner {
	r := &Runner{config: c}
	if err := r.removeScripts(); err != nil {
		c.Logger.Warn("scripts that were run before the agent was started could not be removed", "dir", c.Dir, "error", err)
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Close kills what runs and returns when all has ended.
func (r *Runner) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.jobs.Wait()
}

// Handle begins to run the job that an event calls for, and does not wait for it.
func (r *Runner) Handle(ev api.UserEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.jobs.Go(func() {
		if err := r.run(r.ctx, ev.Payload); err != nil {
			r.config.Logger.Error("remote execution failed", "event_id", ev.ID, "error", err)
		}
	})
}

func (r *Runner) run(ctx context.Context, payload []byte) error {
	var call Call
	if err := json.Unmarshal(payload, &call); err != nil {
		return fmt.Errorf("the call: %w", err)
	}
	if _, err := uuid.ParseUUID(call.Session); err != nil {
		return fmt.Errorf("the call's session: %w", err)
	}
	job, err := r.fetch(ctx, call)
	if err != nil {
		return fmt.Errorf("the job: %w", err)
	}
	if err := r.write(ctx, call, AckKey, nil); err != nil {
		return err
	}
	status, err := r.execute(ctx, call, job)
	if err != nil {
		return err
	}
	return r.write(ctx, call, ExitKey, []byte(strconv.Itoa(status)))
}

// fetch reads a job: from any server, since all agents ask at once, and from the
// leader if that one does not have it yet.
func (r *Runner) fetch(ctx context.Context, call Call) (job Job, err error) {
	key := path.Join(call.Prefix, call.Session, JobKey)
	found, err := r.config.KV.KVGet(ctx, api.KVRequest{Key: key, QueryOptions: api.QueryOptions{AllowStale: true}})
	if err != nil || len(found.Entries) == 0 {
		found, err = r.config.KV.KVGet(ctx, api.KVRequest{Key: key})
	}
	switch {
	case err != nil:
		return job, err
	case len(found.Entries) == 0:
		return job, fmt.Errorf("there is no key %s", key)
	case found.Entries[0].Session != call.Session:
		return job, fmt.Errorf("the key %s is not locked by the session", key)
	}
	return job, json.Unmarshal(found.Entries[0].Value, &job)
}

// errRefused says that a write was refused because the session has ended.
var errRefused = errors.New("the session has ended")

// write writes a key of this node, locked by the session.
func (r *Runner) write(ctx context.Context, call Call, name string, value []byte) error {
	key := path.Join(call.Prefix, call.Session, r.config.Node, name)
	a, err := r.config.KV.KVApply(ctx, api.KVApplyRequest{Op: api.KVLock, Entry: api.DirEntry{Key: key, Value: value, Session: call.Session}})
	if err == nil && !a.OK {
		err = errRefused
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	return nil
}

// couldNotRun is the exit status of a command that could not be run.
const couldNotRun = 255

// execute runs a job and writes what it prints. Its error is one of writing.
func (r *Runner) execute(ctx context.Context, call Call, job Job) (status int, err error) {
	command, done, err := r.command(call, job)
	if err != nil {
		return couldNotRun, r.write(ctx, call, numbered(0), []byte(err.Error()))
	}
	defer done()
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	out := &output{ctx: ctx, pieces: make(chan []byte, piecesWaiting)}
	command.Stdout, command.Stderr = out, out
	r.jobs.Go(func() {
		defer close(out.pieces)
		var failure error
		if status, failure = r.config.Host.Exec().Run(ctx, command); failure != nil {
			status = couldNotRun
			_, _ = io.WriteString(out, failure.Error()) // ctx has ended, if this cannot be told
		}
	})
	err = out.carry(job.Wait, func(n int, piece []byte) error { return r.write(ctx, call, numbered(n), piece) })
	if err != nil {
		kill()
		for range out.pieces { // until the command has ended
		}
	}
	return status, err
}

func numbered(n int) string { return fmt.Sprintf("%s/%05x", OutputKey, n) }

// command makes a command of a job; done must be called when it has ended.
func (r *Runner) command(call Call, job Job) (c host.Command, done func(), err error) {
	done = func() {}
	switch {
	case len(job.Script) > 0:
		c.Args, done, err = r.script(call, job.Script)
	case job.Command != "":
		c.Args = []string{"/bin/sh", "-c", job.Command}
	case len(job.Args) > 0:
		c.Args = job.Args
	default:
		err = errors.New("the job names nothing to run")
	}
	return c, done, err
}
