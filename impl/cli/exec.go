package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/rexec"
)

// execOptions are the settings of the verb exec.
type execOptions struct {
	node, service, tag string
	prefix             string
	verbose            bool
	wait, replication  time.Duration
}

func execVerb() verb {
	return verb{
		usage:    "[options] [-|COMMAND...]",
		synopsis: "Executes a command on nodes of the cluster",
		about: "Runs COMMAND, or with \"-\" the script on standard input, on all agents of the datacenter\n" +
			"or on those that the expressions choose, if their configuration allows that\n" +
			"(disable_remote_exec = false), and prints what they answer.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			var o execOptions
			f.StringVar(&o.node, "node", "", "regular `EXPRESSION`: only agents with such a name")
			f.StringVar(&o.service, "service", "", "regular `EXPRESSION`: only agents with such a service")
			f.StringVar(&o.tag, "tag", "", "regular `EXPRESSION`: with -service, only if it has such a tag")
			f.StringVar(&o.prefix, "prefix", "_rexec", "`PREFIX` of the keys through which it goes")
			f.BoolVar(&o.verbose, "verbose", false, "tell what is being done")
			f.DurationVar(&o.wait, "wait", 2*time.Second, "`TIME` without an answer after which no more is waited for")
			f.DurationVar(&o.replication, "wait-repl", 200*time.Millisecond, "`TIME` for the job to reach all servers before agents are called")
			inShell := f.Bool("shell", true, "have a shell run COMMAND")
			return func(args []string) error {
				job := rexec.Job{Wait: o.wait}
				var err error
				switch {
				case slices.Equal(args, []string{"-"}):
					job.Script, err = io.ReadAll(c.Stdin)
				case *inShell:
					job.Command = strings.Join(args, " ")
				default:
					job.Args = args
				}
				switch {
				case err != nil:
					return fmt.Errorf("failed to read the script: %w", err)
				case job.Command == "" && len(job.Script) == 0 && len(job.Args) == 0:
					return errors.New("must specify a command to execute")
				case o.prefix == "" || o.wait <= 0 || o.replication < 0:
					return errors.New("-prefix cannot be empty, -wait must be positive and -wait-repl cannot be negative")
				}
				if err := checkFilters(o.node, o.service, o.tag); err != nil {
					return err
				}
				return c.exec(job, o)
			}
		},
	}
}

func (c *call) exec(job rexec.Job, o execOptions) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx := c.stopped()
	session, end, err := keepSession(client, &capi.SessionEntry{Name: "Remote Exec", TTL: capi.DefaultLockSessionTTL, Behavior: capi.SessionBehaviorDelete})
	if err != nil {
		return err
	}
	defer end()
	dir := path.Join(o.prefix, session) + "/"
	defer func() {
		if _, err := client.KV().DeleteTree(dir, nil); err != nil {
			fmt.Fprintf(c.Stderr, "Failed to clean up %s: %v\n", dir, err)
		}
	}()
	if err := c.callAgents(ctx, client, job, o, session); err != nil {
		return err
	}
	r := results{call: c, kv: client.KV(), dir: dir, options: o, seen: map[string]bool{}}
	return r.follow(ctx)
}

// callAgents writes the job and fires the event that has agents run it.
func (c *call) callAgents(ctx context.Context, client *capi.Client, job rexec.Job, o execOptions, session string) error {
	spec, err := json.Marshal(job)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(rexec.Call{Prefix: o.prefix, Session: session})
	if err != nil {
		return err
	}
	ok, _, err := client.KV().Acquire(&capi.KVPair{Key: path.Join(o.prefix, session, rexec.JobKey), Value: spec, Session: session}, nil)
	if err == nil && !ok {
		err = errors.New("failed to acquire key for job")
	}
	if err != nil {
		return fmt.Errorf("failed to create job file: %w", err)
	}
	c.tell(o.verbose, "Uploaded remote execution spec")
	select {
	case <-time.After(o.replication):
	case <-ctx.Done():
		return status(1)
	}
	id, _, err := client.Event().Fire(&capi.UserEvent{Name: rexec.EventName, Payload: payload, NodeFilter: o.node, ServiceFilter: o.service, TagFilter: o.tag}, nil)
	if err != nil {
		return fmt.Errorf("failed to fire event: %w", err)
	}
	c.tell(o.verbose, "Fired remote execution event: %s", id)
	return nil
}

// results are the answers of agents, as they come in.
type results struct {
	call    *call
	kv      *capi.KV
	dir     string
	options execOptions
	seen    map[string]bool

	acks, exits int
	failed      bool
}

// follow prints answers until none came for the time that is waited; twice as long
// while an agent has acknowledged and not finished. Status 2 says that a command
// failed, or did not finish.
func (r *results) follow(ctx context.Context) error {
	var index uint64
	for last := time.Now(); ; {
		wait := r.options.wait
		if r.acks > r.exits {
			wait *= 2
		}
		left := wait - time.Since(last)
		if left <= 0 {
			break
		}
		q := (&capi.QueryOptions{WaitIndex: index, WaitTime: max(left, time.Millisecond)}).WithContext(ctx)
		keys, meta, err := r.kv.Keys(r.dir, "", q)
		if ctx.Err() != nil {
			return status(1)
		}
		if err != nil {
			return fmt.Errorf("failed to read results: %w", err)
		}
		index = meta.LastIndex
		slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(finishes(a), finishes(b)) })
		for _, key := range keys {
			if r.seen[key] {
				continue
			}
			r.seen[key], last = true, time.Now()
			if err := r.take(key); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(r.call.Stdout, "%d / %d node(s) completed / acknowledged\n", r.exits, r.acks)
	if r.failed || r.exits < r.acks {
		return status(2)
	}
	return nil
}

// finishes puts that a command has finished after what it printed.
func finishes(key string) int {
	if path.Base(key) == rexec.ExitKey {
		return 1
	}
	return 0
}

// take prints what a key says: NODE/ack, NODE/exit or NODE/out/NUMBER.
func (r *results) take(key string) error {
	node, what, ok := strings.Cut(strings.TrimPrefix(key, r.dir), "/")
	if !ok {
		return nil // the job
	}
	if what == rexec.AckKey {
		r.acks++
		r.call.tell(r.options.verbose, "==> %s: acknowledged", node)
		return nil
	}
	pair, _, err := r.kv.Get(key, nil)
	if err != nil {
		return fmt.Errorf("failed to read results: %w", err)
	}
	if pair == nil {
		return nil // it went with the session
	}
	switch {
	case what == rexec.ExitKey:
		code, err := strconv.Atoi(string(pair.Value))
		if err != nil {
			return fmt.Errorf("failed to parse exit code of %s: %w", node, err)
		}
		r.exits++
		r.failed = r.failed || code != 0
		fmt.Fprintf(r.call.Stdout, "==> %s: finished with exit code %d\n", node, code)
	case len(pair.Value) == 0:
		r.call.tell(r.options.verbose, "    %s: heartbeat received", node)
	default:
		for line := range strings.SplitSeq(string(pair.Value), "\n") {
			fmt.Fprintf(r.call.Stdout, "    %s: %s\n", node, line)
		}
	}
	return nil
}
