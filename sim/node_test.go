package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"tribune/impl/host"
	"tribune/sim"
	"tribune/sim/trace"
)

// forever is a program that runs until it is stopped.
func forever(ctx context.Context, _ host.Host, _ *slog.Logger) error {
	<-ctx.Done()
	return nil
}

// counting counts its own seconds in count.
func counting(count *int) sim.Program {
	return func(context.Context, host.Host, *slog.Logger) error {
		for range time.Tick(time.Second) {
			*count++
		}
		return nil
	}
}

var errBroken = errors.New("broken")

// exit: the return of a program is the end of its process.
func exit(s *scene) {
	n := s.node("n")
	if n.Running() || n.Starts() != 0 || n.Err() != nil {
		s.errorf("a new node runs")
	}
	n.Wait()
	count := 0
	n.Start(func(context.Context, host.Host, *slog.Logger) error {
		go counting(&count)(nil, nil, nil)
		time.AfterFunc(6*time.Second, func() { count = 1000 })
		time.Sleep(5*time.Second + time.Millisecond)
		return errBroken
	})
	if !n.Running() || s.Node("n") != n || s.Node("m") != nil {
		s.errorf("the node does not run, or is another one")
	}
	n.Wait()
	if s.Now() != 5*time.Second+time.Millisecond || n.Running() || !errors.Is(n.Err(), errBroken) {
		s.errorf("running: %t, %v", n.Running(), n.Err())
	}
	time.Sleep(10 * time.Second)
	if count != 5 {
		s.errorf("a goroutine or a timer outlived its process: %d", count)
	}
	n.Start(func(context.Context, host.Host, *slog.Logger) error { return nil })
	n.Wait()
	if n.Err() != nil || n.Starts() != 2 {
		s.errorf("%v after %d starts", n.Err(), n.Starts())
	}
	n.Start(forever)
	defer func() {
		if recover() == nil {
			s.errorf("two processes run on one node")
		}
	}()
	n.Start(forever)
}

// stop: a process that is asked to ends in order, or does not.
func stop(s *scene) {
	n := s.node("n")
	s.must(n.Stop(time.Second)) // nothing runs
	n.Start(func(ctx context.Context, _ host.Host, _ *slog.Logger) error {
		<-ctx.Done()
		time.Sleep(3 * time.Second)
		return errBroken
	})
	if err := n.Stop(time.Second); !errors.Is(err, sim.ErrStopTimeout) || !n.Running() || s.Now() != time.Second {
		s.errorf("running: %t, %v", n.Running(), err)
	}
	if err := n.Stop(time.Minute); !errors.Is(err, errBroken) || n.Running() || s.Now() != 3*time.Second {
		s.errorf("running: %t, %v", n.Running(), err)
	}
	n.Start(forever)
	s.After(time.Second, n.Kill)
	n.Pause()
	if err := n.Stop(time.Minute); err != nil || s.Now() != 4*time.Second {
		s.errorf("a paused process that was killed: %v", err)
	}
}

// wrote starts a program that syncs one file and only writes another, and waits
// until it has.
func wrote(s *scene, n *sim.Node) {
	done := make(chan struct{})
	n.Start(func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		defer s.errorf("a deferred function of a dead process ran")
		if err := host.ReplaceFile(h.FS(), "synced", []byte("synced")); err != nil {
			return err
		}
		f, err := h.FS().OpenFile("written", os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if _, err := f.Write([]byte("written")); err != nil {
			return err
		}
		if _, err := h.FS().Lock("lock"); err != nil {
			return err
		}
		close(done)
		<-ctx.Done()
		return nil
	})
	<-done
}

// kill: what was written is there, peers are told, and the lock is free.
func kill(s *scene) {
	n, peer := s.node("n"), s.node("peer")
	ended := connect(s, n, peer)
	n.Kill()
	select {
	case <-ended:
	case <-time.After(time.Second):
		s.errorf("the kernel of a dead process says nothing")
	}
	for range 10 {
		wrote(s, n)
		n.Kill()
		n.Kill() // no matter
		for _, name := range []string{"synced", "written"} {
			if b, err := host.ReadFile(n.Disk(), name); err != nil || string(b) != name {
				s.errorf("%s: %q, %v", name, b, err)
			}
		}
	}
}

// power: what was synced is there, what was not may be, peers are told nothing.
func power(s *scene) {
	n, peer := s.node("n"), s.node("peer")
	ended := connect(s, n, peer)
	n.Crash()
	if n.Running() {
		s.errorf("it runs without power")
	}
	time.Sleep(time.Minute)
	select {
	case <-ended:
		s.errorf("a host without power said something")
	default:
	}
	lost, kept := 0, 0
	for range 40 {
		wrote(s, n)
		n.Crash()
		if b, err := host.ReadFile(n.Disk(), "synced"); err != nil || string(b) != "synced" {
			s.errorf("synced: %q, %v", b, err)
		}
		switch b, err := host.ReadFile(n.Disk(), "written"); {
		case errors.Is(err, fs.ErrNotExist) || err == nil && len(b) == 0:
			lost++
		case err == nil && string(b) == "written":
			kept++
		case err != nil || !strings.HasPrefix("written", strings.TrimRight(string(b), "\x00")):
			s.errorf("written: %q, %v", b, err)
		}
		s.must(n.Disk().RemoveAll("written"))
		s.must(n.Disk().SyncDir("/"))
		n.Crash() // it is down: once more
	}
	if lost == 0 || kept == 0 {
		s.errorf("what was not synced is lost %d times and kept %d times", lost, kept)
	}
	if !strings.Contains(s.lines(trace.Life), "n power failure") {
		s.errorf("the record does not tell:\n%s", s.lines(trace.Life))
	}
}

// connect has a peer connect to a program on n, and says when the peer's
// connection ended. It returns once they are connected.
func connect(s *scene, n, peer *sim.Node) <-chan time.Duration {
	accepted, ended := make(chan struct{}), make(chan time.Duration, 1)
	n.Start(func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		l, err := h.Network().Listen(ctx, "tcp", ":80")
		if err != nil {
			return err
		}
		if _, err := l.Accept(); err != nil {
			return err
		}
		close(accepted)
		<-ctx.Done()
		return nil
	})
	peer.Start(func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		time.Sleep(time.Second)
		conn, err := h.Network().Dial(ctx, "tcp", "n:80")
		if err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 1))
		ended <- s.Now()
		if err == nil || errors.Is(err, syscall.ETIMEDOUT) {
			s.errorf("a connection to nobody: %v", err)
		}
		return err
	})
	<-accepted
	return ended
}

// pause: nothing of a process moves until it goes on; then timers act.
func pause(s *scene) {
	n, m := s.node("n"), s.node("m")
	var count, other int
	var late time.Duration
	n.Start(func(context.Context, host.Host, *slog.Logger) error {
		time.AfterFunc(20*time.Second, func() { late = s.Now() })
		return counting(&count)(nil, nil, nil)
	})
	m.Start(counting(&other))
	time.Sleep(10*time.Second + time.Millisecond)
	first, second := n.Pause(), n.Pause()
	time.AfterFunc(20*time.Second, first) // the second lasts
	time.Sleep(30 * time.Second)
	if count != 10 || other != 40 || late != 0 || !n.Running() {
		s.errorf("a paused process counted to %d, the other one to %d; late %v", count, other, late)
	}
	first() // no matter
	if !n.Paused() {
		s.errorf("what was resumed twice counts as two")
	}
	second()
	time.Sleep(10 * time.Second)
	// A ticker drops what nobody takes: at most one tick was handed over and one
	// kept.
	if count < 20 || count > 22 || other != 50 || late != 40*time.Second+time.Millisecond {
		s.errorf("afterwards it counted to %d, the other one to %d; late %v", count, other, late)
	}
	old := n.Pause()
	if n.Kill(); n.Running() {
		s.errorf("it runs")
	}
	n.Pause()
	n.Start(counting(&count)) // what is paused is the process, not the node
	count = 0
	time.Sleep(5*time.Second + time.Millisecond)
	if count != 5 {
		s.errorf("the next process counted to %d", count)
	}
	n.Pause()
	if old(); !n.Paused() {
		s.errorf("the end of a dead process's pause ended the next one's")
	}
}

// panic: a process that panics ends, even when nothing else happens, and alone.
func panics(s *scene) {
	n, m := s.node("n"), s.node("m")
	count := 0
	m.Start(counting(&count))
	n.Start(func(ctx context.Context, _ host.Host, _ *slog.Logger) error {
		go func() {
			time.Sleep(time.Minute)
			panic("no way out")
		}()
		return forever(ctx, nil, nil)
	})
	n.Wait()
	var panicked *sim.PanicError
	if err := n.Err(); !errors.As(err, &panicked) || !strings.Contains(panicked.Text, "no way out") || !m.Running() {
		s.errorf("%v", err)
	}
	if now := s.Now(); now < time.Minute || now > time.Minute+time.Second {
		s.errorf("it was found out late")
	}
	n.Start(forever)
	time.Sleep(time.Minute)
	if !n.Running() || count != 120 && count != 119 {
		s.errorf("running: %t, and the other one counted to %d", n.Running(), count)
	}
}

// panicsAndMore: a panic is the end of a process, whatever it says and whoever would end
// the process in the same instant.
func panicsAndMore(s *scene) {
	n := s.node("n")
	for _, value := range []any{"no way out", "", errors.New("")} {
		for how, end := range map[string]func(){"kill": n.Kill, "power failure": n.Crash, "": s.Reap} {
			n.Start(forever)
			n.Go(func() { panic(value) })
			for range 100 {
				runtime.Gosched() // it panics, and nothing happens that it could be noticed at
			}
			end()
			want, lives := fmt.Sprint("n panic: ", value, "\n"), s.lines(trace.Life)
			if how != "" {
				want += fmt.Sprintf("%v n %s\n", s.Now(), how)
			}
			var panicked *sim.PanicError
			if n.Running() || !errors.As(n.Err(), &panicked) || panicked.Text != fmt.Sprint(value) || !strings.HasSuffix(lives, want) {
				s.errorf("%q, and then %q: running: %t, %v, and the record tells:\n%s", value, how, n.Running(), n.Err(), lives)
			}
			n.Kill()
		}
	}
}
