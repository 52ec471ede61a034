// Package queue is a queue of jobs with a bug. It is here to be found out;
// queue_test.go shows how a system is judged that is no store of keys and values.
//
// Who takes a job has it for a while, the lease, and says when it is done. If the lease
// is over before, somebody else gets the job. Jobs are kept on the disk, a line a
// change, and each change is synced before it is answered. Leases are kept in memory:
// that is the bug. A process that is started again does not know of them, and hands a
// job out that somebody works on.
package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"tribune/impl/host"
)

// Lease is how long a job is its taker's.
const Lease = 3 * time.Second

const (
	port = "7000"
	dir  = "/queue"
	file = "/queue/jobs"
)

// job is one that is not done.
type job struct {
	name  string
	until time.Time // of its lease
}

// Queue is the service.
type Queue struct {
	mu   sync.Mutex
	jobs []*job // oldest first
	disk host.File
}

// Run runs the service on a host until ctx ends.
func Run(ctx context.Context, h host.Host, log *slog.Logger) error {
	q := &Queue{}
	if err := q.open(h.FS()); err != nil {
		return err
	}
	defer func() { _ = q.disk.Close() }() // all that matters is synced
	log.Info("opens", "jobs", len(q.jobs))
	l, err := h.Network().Listen(ctx, "tcp", ":"+port)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add", q.add)
	mux.HandleFunc("POST /take", q.take)
	mux.HandleFunc("POST /done", q.done)
	server := &http.Server{Handler: mux}
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() {
		<-ctx.Done()
		_ = server.Close()
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// open reads what is on the disk: a line "+NAME" or "-NAME" a change. The last one may
// be torn; it was not answered then, and goes, or the next one would be part of it.
func (q *Queue) open(fs host.FS) error {
	if err := host.MakeDir(fs, dir, 0o755); err != nil {
		return err
	}
	f, err := fs.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := fs.SyncDir(dir); err != nil {
		return err
	}
	q.disk = f
	b, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if name, added := strings.CutPrefix(line, "+"); added {
			q.jobs = append(q.jobs, &job{name: name})
		} else {
			q.remove(strings.TrimPrefix(line, "-"))
		}
	}
	return f.Truncate(int64(len(b)))
}

func (q *Queue) remove(name string) {
	q.jobs = slices.DeleteFunc(q.jobs, func(j *job) bool { return j.name == name })
}

// change writes a change down and carries it out.
func (q *Queue) change(w http.ResponseWriter, line string, carryOut func()) {
	_, err := fmt.Fprintln(q.disk, line)
	if err == nil {
		err = q.disk.Sync()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	carryOut()
}

func (q *Queue) add(w http.ResponseWriter, r *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	name := r.FormValue("job")
	q.change(w, "+"+name, func() { q.jobs = append(q.jobs, &job{name: name}) })
}

func (q *Queue) done(w http.ResponseWriter, r *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	name := r.FormValue("job")
	q.change(w, "-"+name, func() { q.remove(name) })
}

// take hands out the oldest job that nobody has; nothing if there is none.
func (q *Queue) take(w http.ResponseWriter, _ *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range q.jobs {
		if time.Now().After(j.until) { // the bug: after a start nobody has any
			j.until = time.Now().Add(Lease)
			_, _ = fmt.Fprint(w, j.name) // who asked will see that it is not there
			return
		}
	}
}
