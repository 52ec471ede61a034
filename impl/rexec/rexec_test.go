package rexec_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tribune/impl/api"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
	"tribune/impl/rexec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const session = "adf4238a-882b-9ddc-4a9d-5b6758e4159e"

// store is a key/value store with one session, and a runner that works with it.
type store struct {
	*testing.T
	mu      sync.Mutex
	entries map[string]api.DirEntry
	written []string // "KEY VALUE", under the runner's node
	stale   bool     // servers that do not lead know of nothing yet
	ended   bool     // the session
	command hosttest.Commands
	disk    *hosttest.Disk
	runner  *rexec.Runner
}

func (s *store) KVGet(_ context.Context, r api.KVRequest) (a api.KVResponse, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[r.Key]; ok && !(s.stale && r.AllowStale) {
		a.Entries = append(a.Entries, e)
	}
	return a, nil
}

func (s *store) KVApply(ctx context.Context, r api.KVApplyRequest) (api.KVApplyResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return api.KVApplyResponse{}, ctx.Err()
	}
	if r.Op != api.KVLock || r.Entry.Session != session {
		s.Errorf("%+v is not locked by the session", r)
	}
	if !s.ended {
		s.written = append(s.written, strings.TrimPrefix(r.Entry.Key, "p/"+session+"/n1/")+" "+string(r.Entry.Value))
	}
	return api.KVApplyResponse{OK: !s.ended}, nil
}

func (s *store) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// inStore runs a test in a bubble, with a job that the session has locked.
func inStore(t *testing.T, job any, f func(s *store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		spec, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		key := path.Join("p", session, "job")
		s := &store{T: t, disk: hosttest.NewDisk(), entries: map[string]api.DirEntry{key: {Key: key, Value: spec, Session: session}}}
		h := hosttest.NewNetwork().HostWith("n1", netip.MustParseAddr("10.0.0.1"), s.disk, func(ctx context.Context, c host.Command) (int, error) { return s.command.Run(ctx, c) })
		s.runner = rexec.New(rexec.Config{Node: "n1", Host: h, Dir: "/", KV: s, Logger: slog.New(slog.DiscardHandler)})
		f(s)
		s.runner.Close()
	})
}

// call has the runner run the job, and returns what it wrote.
func (s *store) call(payload string) []string {
	s.runner.Handle(api.UserEvent{Name: rexec.EventName, Payload: []byte(payload)})
	time.Sleep(time.Hour)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

const called = `{"Prefix":"p","Session":"` + session + `"}`

func (s *store) wrote(got []string, want ...string) {
	s.Helper()
	if !slices.Equal(got, want) {
		s.Errorf("%q were written, want %q", got, want)
	}
}

func TestAJobIsAcknowledgedRunAndFinished(t *testing.T) {
	for _, c := range []struct {
		job  rexec.Job
		args []string
	}{
		{rexec.Job{Command: "echo a | wc"}, []string{"/bin/sh", "-c", "echo a | wc"}},
		{rexec.Job{Args: []string{"echo", "a"}}, []string{"echo", "a"}},
		{rexec.Job{Script: []byte("echo a")}, []string{"/bin/sh", "/rexec-" + session}},
		{rexec.Job{Script: []byte("#!/bin/python")}, []string{"/bin/python", "/rexec-" + session}},
		{rexec.Job{Script: []byte("#! /usr/bin/env\tpython -u \n...")}, []string{"/usr/bin/env", "python -u", "/rexec-" + session}},
		{rexec.Job{Script: []byte("#!\n")}, []string{"/bin/sh", "/rexec-" + session}},
		{rexec.Job{Script: []byte("\x7fELF\x00\n")}, []string{"/rexec-" + session}},
	} {
		inStore(t, c.job, func(s *store) {
			s.stale = true
			s.command = func(_ context.Context, command host.Command) (int, error) {
				if !slices.Equal(command.Args, c.args) {
					s.Errorf("%q was run", command.Args)
				}
				if b, err := host.ReadFile(s.disk, c.args[len(c.args)-1]); c.job.Script != nil && (err != nil || string(b) != string(c.job.Script)) {
					s.Errorf("the script is %q, %v", b, err)
				}
				_, err := fmt.Fprint(command.Stdout, "out")
				return 7, errors.Join(err, func() error { _, err := fmt.Fprint(command.Stderr, "err"); return err }())
			}
			s.wrote(s.call(called), "ack ", "out/00000 outerr", "exit 7")
			if left, err := s.disk.ReadDir("/"); err != nil || len(left) > 0 {
				s.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

// TestAScriptRunsWhereverTheDataDirectoryIs really runs it.
func TestAScriptRunsWhereverTheDataDirectoryIs(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{".", "data", "a b", "-c", "$(exit 3); '", t.TempDir() + "/a b"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for script, want := range map[string]string{"printf %s hello": "hello", "#!/bin/sh -e\nfalse\nprintf %s hello": "", "#!/usr/bin/env cat": "#!/usr/bin/env cat"} {
			inStore(t, rexec.Job{Script: []byte(script)}, func(s *store) {
				s.runner.Close()
				s.runner = rexec.New(rexec.Config{Node: "n1", Host: host.Real(), Dir: dir, KV: s, Logger: slog.New(slog.DiscardHandler)})
				got := s.call(called)
				switch {
				case want == "":
					s.wrote(got, "ack ", "exit 1")
				default:
					s.wrote(got, "ack ", "out/00000 "+want, "exit 0")
				}
			})
		}
	}
}

func TestScriptsThatAnAgentLeftWhenItWasKilledAreRemoved(t *testing.T) {
	disk := hosttest.NewDisk()
	for _, name := range []string{"/rexec-" + session, "/rexec-other", "/node-id"} {
		if err := host.ReplaceFile(disk, name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	h := hosttest.NewNetwork().Host("n1", netip.MustParseAddr("10.0.0.1"), disk)
	rexec.New(rexec.Config{Node: "n1", Host: h, Dir: "/", Logger: slog.New(slog.DiscardHandler)}).Close()
	if left, err := disk.ReadDir("/"); err != nil || len(left) != 1 || left[0].Name() != "node-id" {
		t.Errorf("%v is left, %v", left, err)
	}
}

func TestWhatACommandPrintsComesInPiecesWhileItRuns(t *testing.T) {
	inStore(t, rexec.Job{Command: "x", Wait: 10 * time.Second}, func(s *store) {
		s.command = func(_ context.Context, c host.Command) (int, error) {
			for _, step := range []struct {
				text string
				wait time.Duration
			}{{"a", 0}, {"b", 100 * time.Millisecond}, {"c", 5 * time.Second}, {"d", 25 * time.Second}, {strings.Repeat("e", 5000), 0}, {"f", 0}} {
				time.Sleep(step.wait)
				if _, err := fmt.Fprint(c.Stdout, step.text); err != nil {
					return 0, err
				}
			}
			return 0, nil
		}
		s.wrote(s.call(called), "ack ", "out/00000 ab", "out/00001 c", "out/00002 ", "out/00003 ", "out/00004 d"+strings.Repeat("e", 5000), "out/00005 f", "exit 0")
	})
}

func TestWhatCannotBeRunHasStatus255(t *testing.T) {
	inStore(t, rexec.Job{Args: []string{"none"}}, func(s *store) {
		s.wrote(s.call(called), "ack ", `out/00000 exec: "none": executable file not found in $PATH`, "exit 255")
	})
	inStore(t, rexec.Job{}, func(s *store) {
		s.wrote(s.call(called), "ack ", "out/00000 the job names nothing to run", "exit 255")
	})
	inStore(t, rexec.Job{Script: []byte("x")}, func(s *store) {
		s.disk.Fail(func(op, _ string) error {
			if op == "write" {
				return errors.New("the disk is broken")
			}
			return nil
		})
		s.wrote(s.call(called), "ack ", "out/00000 write /rexec-"+session+": the disk is broken", "exit 255")
		s.disk.Fail(nil)
		if left, err := s.disk.ReadDir("/"); err != nil || len(left) > 0 {
			s.Errorf("%v is left, %v", left, err)
		}
	})
}

func TestACallThatIsNotTheSessionsIsNotAnswered(t *testing.T) {
	for _, payload := range []string{"no JSON", `{}`, `{"Prefix":"p","Session":"../../etc"}`, `{"Prefix":"other","Session":"` + session + `"}`} {
		inStore(t, rexec.Job{Command: "x"}, func(s *store) { s.wrote(s.call(payload)) })
	}
	inStore(t, rexec.Job{Command: "x"}, func(s *store) {
		for k, e := range s.entries {
			e.Session = "" // anybody may have written it
			s.entries[k] = e
		}
		s.wrote(s.call(called))
	})
	inStore(t, "no job", func(s *store) { s.wrote(s.call(called)) })
}

func TestACommandIsKilledWhenNobodyWaitsForIt(t *testing.T) {
	for what, how := range map[string]func(*store){"the session ended": (*store).end, "the agent ended": func(s *store) { s.runner.Close() }} {
		inStore(t, rexec.Job{Command: "x", Wait: time.Second}, func(s *store) {
			var killed time.Time
			s.command = func(ctx context.Context, c host.Command) (int, error) {
				for ctx.Err() == nil { // it prints without end
					_, _ = fmt.Fprint(c.Stdout, "x") // which fails when it is killed
					time.Sleep(time.Millisecond)
				}
				killed = time.Now()
				return 0, ctx.Err()
			}
			began := time.Now()
			time.AfterFunc(30*time.Second, func() { how(s) })
			got := s.call(called)
			s.runner.Close()
			if took := killed.Sub(began); took < 30*time.Second || took > 35*time.Second {
				s.Errorf("%s: it was killed after %v", what, took)
			}
			if last := got[len(got)-1]; strings.HasPrefix(last, "exit") {
				s.Errorf("%s: and then came %q", what, last)
			}
			s.wrote(s.call(called)[len(got):]) // a closed runner runs nothing
		})
	}
}
