package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/host"
)

// lockOptions are the settings of the verb lock.
type lockOptions struct {
	limit     int
	name      string
	retries   int
	timeout   time.Duration
	passStdin bool
	childExit bool
	verbose   bool
}

// How long what may be done about a lock takes, as in Consul.
const (
	lockGrace      = 5 * time.Second // for the child to end when it is told to
	lockRetryPause = time.Second     // between attempts to see whether the lock is still held
)

func lockVerb() verb {
	return verb{
		usage:    "[options] PREFIX CHILD...",
		synopsis: "Executes a command holding a lock",
		about: "Takes the lock PREFIX/.lock, or with -n one of several slots under PREFIX, runs the\n" +
			"command CHILD, and gives the lock up. If the lock is lost, or a signal asks tribune to\n" +
			"stop, CHILD is told to stop (SIGTERM) and killed after 5 seconds, or at a second\n" +
			"signal. CHILD finds CONSUL_LOCK_HELD=true in its environment.",
		flags: func(f *flag.FlagSet, c *call) func([]string) error {
			var o lockOptions
			f.BoolVar(&o.childExit, "child-exit-code", false, "exit with status 2 if CHILD fails, other than by a signal to stop")
			f.IntVar(&o.limit, "n", 1, "`NUMBER` of holders that there may be; all must say the same")
			f.IntVar(&o.retries, "monitor-retry", 3, "`NUMBER` of times to ask again when the agent cannot tell whether the lock is held")
			f.StringVar(&o.name, "name", "", "`NAME` of the session; default: what is run and where")
			f.BoolVar(&o.passStdin, "pass-stdin", false, "give CHILD the standard input")
			f.DurationVar(&o.timeout, "timeout", 0, "`TIME` to wait for the lock; 0: for ever")
			f.DurationVar(&o.timeout, "try", 0, "`TIME` to wait for the lock: the old name of -timeout")
			f.BoolVar(&o.verbose, "verbose", false, "tell what is being done")
			inShell := f.Bool("shell", true, "run CHILD in a shell, $SHELL or /bin/sh")
			return func(args []string) error {
				switch {
				case len(args) < 2:
					return errors.New("key prefix and child command must be specified")
				case o.limit <= 0:
					return errors.New("lock holder limit must be positive")
				case o.timeout < 0:
					return errors.New("timeout must be positive")
				case o.retries < 0:
					return errors.New("number for -monitor-retry must be >= 0")
				}
				prefix, child := strings.TrimPrefix(args[0], "/"), args[1:]
				if o.name == "" {
					o.name = fmt.Sprintf("Consul lock for '%s' at '%s'", strings.Join(child, " "), prefix)
				}
				if *inShell {
					child = shell(strings.Join(child, " "))
				}
				return c.lock(prefix, child, o)
			}
		},
	}
}

// turn is a lock or a slot of a semaphore.
type turn struct {
	take    func(stop <-chan struct{}) (lost <-chan struct{}, err error)
	release func() error
	remove  func() error // what is left of it in the store, if nobody uses it
	inUse   error        // of remove, if somebody does
}

// newTurn returns a turn that a session will hold.
func newTurn(client *capi.Client, prefix, session string, o lockOptions) (turn, error) {
	wait := o.timeout
	if o.limit == 1 {
		l, err := client.LockOpts(&capi.LockOptions{
			Key: path.Join(prefix, capi.DefaultSemaphoreKey), Session: session, LockTryOnce: wait > 0, LockWaitTime: wait,
			MonitorRetries: o.retries, MonitorRetryTime: lockRetryPause,
		})
		if err != nil {
			return turn{}, err
		}
		return turn{l.Lock, l.Unlock, l.Destroy, capi.ErrLockInUse}, nil
	}
	s, err := client.SemaphoreOpts(&capi.SemaphoreOptions{
		Prefix: prefix, Limit: o.limit, Session: session, SemaphoreTryOnce: wait > 0, SemaphoreWaitTime: wait,
		MonitorRetries: o.retries, MonitorRetryTime: lockRetryPause,
	})
	if err != nil {
		return turn{}, err
	}
	return turn{s.Acquire, s.Release, s.Destroy, capi.ErrSemaphoreInUse}, nil
}

func (c *call) lock(prefix string, child []string, o lockOptions) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	stopped, hurried, release := c.Stops(context.Background())
	defer release()
	idle := context.AfterFunc(stopped, release) // no child yet that a second signal would leave behind
	session, end, err := keepSession(client, &capi.SessionEntry{Name: o.name, TTL: capi.DefaultLockSessionTTL, Behavior: behavior(o.limit)})
	if err != nil {
		return fmt.Errorf("lock acquisition failed: %w", err)
	}
	defer end()
	t, err := newTurn(client, prefix, session, o)
	if err != nil {
		return fmt.Errorf("lock setup failed: %w", err)
	}
	c.tell(o.verbose, "Attempting lock acquisition")
	lost, err := t.take(stopped.Done())
	if err != nil {
		return fmt.Errorf("lock acquisition failed: %w", err)
	}
	if lost == nil {
		return errors.New("shutdown triggered or timeout during lock acquisition")
	}
	var failed bool
	ran := idle()
	if ran {
		failed = c.hold(stopped, hurried, lost, child, o)
		context.AfterFunc(stopped, release) // nor is there one any more
	}
	if err := t.release(); err != nil {
		return fmt.Errorf("lock release failed: %w", err)
	}
	switch err := t.remove(); {
	case err == nil:
		c.tell(o.verbose, "Cleanup succeeded")
	case errors.Is(err, t.inUse):
		c.tell(o.verbose, "Cleanup aborted, lock in use")
	default:
		return fmt.Errorf("lock cleanup failed: %w", err)
	}
	switch {
	case !ran:
		return errors.New("shutdown triggered during lock acquisition")
	case failed && o.childExit:
		return status(2)
	}
	return nil
}

// behavior is what becomes of the keys of a session that ends: a slot goes, a lock
// stays and is free.
func behavior(limit int) string {
	if limit > 1 {
		return capi.SessionBehaviorDelete
	}
	return capi.SessionBehaviorRelease
}

// hold runs the child until it ends by itself, or has to because the lock is lost or
// somebody wants to stop. It reports whether the child failed; how it ends when it is
// asked to by a person is no failure.
func (c *call) hold(stopped, hurried context.Context, lost <-chan struct{}, child []string, o lockOptions) (failed bool) {
	held, release := context.WithCancel(context.Background())
	defer release()
	command := host.Command{
		Args: child, Env: []string{"CONSUL_LOCK_HELD=true"}, Stdout: c.Stdout, Stderr: c.Stderr,
		Grace: lockGrace, Hurry: hurried.Done(), Terminal: true,
	}
	if o.passStdin {
		command.Stdin = c.Stdin
	}
	c.tell(o.verbose, "Starting handler '%s'", strings.Join(child, " "))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		status, err := c.Host.Exec().Run(held, command)
		failed = err != nil || status != 0
		if err != nil && held.Err() == nil {
			fmt.Fprintf(c.Stderr, "Error running handler: %v\n", err)
		}
	}()
	select {
	case <-ended:
		c.tell(o.verbose, "Child terminated, releasing lock")
		return failed
	case <-lost:
		fmt.Fprintln(c.Stderr, "Lock lost, stopping child")
	case <-stopped.Done():
		c.tell(o.verbose, "Shutdown triggered, stopping child")
		release()
		<-ended
		return false
	}
	release()
	<-ended
	return failed
}

// tell prints a line if the person wants to know.
func (c *call) tell(verbose bool, format string, args ...any) {
	if verbose {
		fmt.Fprintf(c.Stdout, format+"\n", args...)
	}
}

// keepSession creates a session and keeps it until the function is called, which
// destroys it.
func keepSession(client *capi.Client, s *capi.SessionEntry) (id string, end func(), err error) {
	id, _, err = client.Session().Create(s, nil)
	if err != nil {
		return "", nil, fmt.Errorf("failed to create session: %w", err)
	}
	done := make(chan struct{})
	var renewing sync.WaitGroup
	renewing.Go(func() {
		_ = client.Session().RenewPeriodic(s.TTL, id, nil, done) // who needs the session finds out that it ended
	})
	return id, func() {
		close(done)
		renewing.Wait()
	}, nil
}
