package gossip_test

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/gossip"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is some agents of a gossip pool on a network of their own.
type world struct {
	*testing.T
	net   *hosttest.Network
	dir   string
	pools map[int]*gossip.Pool
	admit func(api.Member) error

	events chan<- api.RawEvent
}

// inWorld runs a test in a bubble and closes the pools that are left.
func inWorld(t *testing.T, f func(w *world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, net: hosttest.NewNetwork(), dir: dir, pools: map[int]*gossip.Pool{}}
		f(w)
		for i := range 100 {
			if w.pools[i] != nil {
				w.close(i)
			}
		}
		// memberlist does not wait for probes that are on their way.
		time.Sleep(time.Minute)
	})
}

func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

func name(i int) string { return fmt.Sprintf("node%02d", i) }

func (w *world) start(i int) *gossip.Pool {
	w.Helper()
	return w.startWith(i, gossip.Settings{})
}

func (w *world) startWith(i int, s gossip.Settings) *gossip.Pool {
	w.Helper()
	at := netip.AddrPortFrom(addr(i), 8301)
	h := w.net.Host(name(i), addr(i), host.Real().FS())
	p, err := gossip.Start(w.Context(), gossip.Config{
		Name: name(i), Bind: at.String(), Advertise: at, Tags: map[string]string{"dc": "dc1", "id": fmt.Sprint(i)},
		Network: h.Network(), FS: h.FS(), PeersFile: w.file(i), Logger: slog.New(slog.DiscardHandler), Admit: w.admit, Events: w.events, Settings: s,
	})
	if err != nil {
		w.Fatal(err)
	}
	w.pools[i] = p
	return p
}

func (w *world) file(i int) string { return filepath.Join(w.dir, name(i)+".json") }

func (w *world) close(i int) {
	w.Helper()
	if err := w.pools[i].Close(); err != nil {
		w.Error(err)
	}
	delete(w.pools, i)
}

func (w *world) join(i, to int) {
	w.Helper()
	if n, err := w.pools[i].Join(w.Context(), []string{addr(to).String()}); n != 1 || err != nil {
		w.Fatalf("%s joined %d agents, error %v", name(i), n, err)
	}
}

// together starts so many agents, and has all join the first.
func (w *world) together(n int) {
	w.Helper()
	for i := 1; i <= n; i++ {
		w.start(i)
	}
	for i := 2; i <= n; i++ {
		w.join(i, 1)
	}
}

// view is what an agent sees: "node01:alive node02:failed".
func (w *world) view(i int) string {
	states := map[int]string{1: "alive", 2: "leaving", 3: "left", 4: "failed"}
	var seen []string
	for _, m := range w.pools[i].Members() {
		seen = append(seen, m.Name+":"+states[m.Status])
	}
	return strings.Join(seen, " ")
}

func (w *world) sees(i int, want string) {
	w.Helper()
	if got := w.view(i); got != want {
		w.Errorf("%s sees %q, want %q", name(i), got, want)
	}
}

func alive(nodes ...int) string {
	var s []string
	for _, i := range nodes {
		s = append(s, name(i)+":alive")
	}
	return strings.Join(s, " ")
}

func TestJoinedAgentsSeeEachOtherWithTheirTags(t *testing.T) {
	inWorld(t, func(w *world) {
		for i := 1; i <= 3; i++ {
			w.start(i)
		}
		w.join(2, 1)
		w.join(3, 2)
		time.Sleep(5 * time.Second)
		for i := 1; i <= 3; i++ {
			w.sees(i, alive(1, 2, 3))
		}
		m := w.pools[1].Members()[2]
		if m.Addr != "10.0.0.3" || m.Port != 8301 || m.Tags["id"] != "3" || m.Tags["dc"] != "dc1" {
			w.Errorf("node03 is shown as %+v", m)
		}
		select {
		case <-w.pools[1].Changed():
		default:
			w.Error("nobody was told that members changed")
		}
	})
}

func TestJoiningNobodyIsAnErrorThatNamesWhomAndNoHalfJoin(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(1)
		for _, addresses := range [][]string{{"10.0.0.9"}, {"no-such-host"}, {"10.0.0.9:1", "[fd00::1]:2"}} {
			n, err := w.pools[1].Join(w.Context(), addresses)
			if n != 0 || err == nil || !strings.Contains(err.Error(), addresses[0]) || strings.Contains(err.Error(), "\n") {
				w.Errorf("joining %q: %d, %v", addresses, n, err)
			}
		}
		if n, err := w.pools[1].Join(w.Context(), nil); n != 0 || err != nil {
			w.Errorf("joining no one: %d, %v", n, err)
		}
		w.start(2)
		if n, err := w.pools[1].Join(w.Context(), []string{"10.0.0.9", "10.0.0.2:8301"}); n != 1 || err != nil {
			w.Errorf("one of two answers: %d, %v", n, err)
		}
		w.sees(1, alive(1, 2))
	})
}

func TestASilentAgentIsSeenFailedAndBackAliveWhenItReturns(t *testing.T) {
	inWorld(t, func(w *world) {
		w.together(3)
		time.Sleep(5 * time.Second)
		w.net.Cut(addr(3))
		time.Sleep(30 * time.Second)
		w.sees(1, alive(1, 2)+" node03:failed")
		w.sees(3, "node01:failed node02:failed node03:alive")
		w.net.Mend(addr(3))
		time.Sleep(2 * time.Minute)
		for i := 1; i <= 3; i++ {
			w.sees(i, alive(1, 2, 3))
		}
	})
}

func TestAnAgentThatLeavesIsLeftAndDoesNotComeBackByItself(t *testing.T) {
	inWorld(t, func(w *world) {
		w.together(3)
		time.Sleep(5 * time.Second)
		if err := w.pools[3].Leave(); err != nil {
			w.Error(err)
		}
		w.close(3)
		w.sees(1, alive(1, 2)+" node03:left")
		w.sees(2, alive(1, 2)+" node03:left")
		w.start(3)
		time.Sleep(time.Minute)
		w.sees(3, alive(3))
		// Joined again it is alive, though all have a note of its leave.
		w.join(3, 1)
		time.Sleep(10 * time.Second)
		for i := 1; i <= 3; i++ {
			w.sees(i, alive(1, 2, 3))
		}
	})
}

func TestAnAgentThatLeftFindsTheOthersAgainIfItIsToldTo(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(1)
		w.start(2)
		w.join(2, 1)
		time.Sleep(5 * time.Second)
		if err := w.pools[2].Leave(); err != nil {
			w.Error(err)
		}
		w.close(2)
		w.startWith(2, gossip.Settings{Rejoin: true})
		time.Sleep(10 * time.Second)
		w.sees(2, alive(1, 2))
		w.sees(1, alive(1, 2))
	})
}

func TestAMemberThatFailedIsForgottenAfterTheTimeThatIsSet(t *testing.T) {
	for _, patience := range []time.Duration{0, 8 * time.Hour} {
		inWorld(t, func(w *world) {
			w.startWith(1, gossip.Settings{Reconnect: patience})
			w.start(2)
			w.join(2, 1)
			time.Sleep(5 * time.Second)
			w.close(2)
			want := cmp.Or(patience, 72*time.Hour)
			time.Sleep(want - time.Minute)
			w.sees(1, alive(1)+" node02:failed")
			time.Sleep(2 * time.Minute)
			w.sees(1, alive(1))
		})
	}
}

func TestAFailedAgentComesBackUnderAnotherAddress(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(1)
		w.start(2)
		w.join(1, 2)
		time.Sleep(5 * time.Second)
		w.close(2)
		time.Sleep(20 * time.Second)
		at := netip.AddrPortFrom(addr(7), 8301)
		p, err := gossip.Start(w.Context(), gossip.Config{
			Name: name(2), Bind: at.String(), Advertise: at, Tags: map[string]string{"dc": "dc1"},
			Network: w.net.Host("moved", addr(7), nil).Network(), Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			w.Fatal(err)
		}
		w.pools[7] = p
		w.join(7, 1)
		time.Sleep(2 * time.Minute)
		w.sees(1, alive(1, 2))
		if m := w.pools[1].Members()[1]; m.Addr != addr(7).String() {
			w.Errorf("it is shown at %s", m.Addr)
		}
	})
}

func TestForceLeave(t *testing.T) {
	inWorld(t, func(w *world) {
		w.together(5)
		time.Sleep(5 * time.Second)
		w.close(4)
		w.close(5)
		time.Sleep(time.Minute)
		for _, r := range []struct {
			name  string
			prune bool
		}{{name(4), false}, {name(5), true}, {name(2), false}, {name(3), true}} {
			if err := w.pools[1].Remove(r.name, r.prune); err != nil {
				w.Errorf("%s: %v", r.name, err)
			}
			time.Sleep(5 * time.Second) // a living one refutes it before the next
		}
		time.Sleep(10 * time.Second)
		for i := 1; i <= 3; i++ {
			w.sees(i, alive(1, 2, 3)+" node04:left") // the living ones have refuted it
		}
	})
}

func TestForceLeaveOfWhoCannotBeRemovedIsAnError(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(1)
		w.start(2)
		w.join(2, 1)
		time.Sleep(5 * time.Second)
		for who, want := range map[string]string{
			"nobody": "agent: No node found with name 'nobody'",
			name(2):  "agent: node 'node02' is alive as far as this agent knows; it can be removed when it has failed",
		} {
			if err := w.pools[1].Remove(who, false); err == nil || err.Error() != want {
				w.Errorf("%s: %v", who, err)
			}
		}
		w.sees(1, alive(1, 2))
	})
}

func TestAnAgentThatIsNotAdmittedStaysOut(t *testing.T) {
	inWorld(t, func(w *world) {
		w.admit = func(m api.Member) error {
			if m.Tags["id"] == "2" {
				return errors.New("two is not one of us")
			}
			return nil
		}
		w.start(1)
		w.admit = nil
		w.start(2)
		w.start(3)
		w.join(3, 1)
		if _, err := w.pools[1].Join(w.Context(), []string{addr(2).String()}); err == nil || !strings.Contains(err.Error(), "two is not one of us") {
			w.Errorf("%v", err)
		}
		w.join(3, 2) // the friend of a friend does not get in either
		time.Sleep(10 * time.Second)
		w.sees(1, alive(1, 3))
	})
}

func TestAgentsKilledAndRestartedTogetherAreAllSeenAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		const n = 12
		for i := range n {
			w.start(i)
		}
		for round := range 3 {
			for i := 1; i < n; i++ {
				w.join(i, 0)
			}
			time.Sleep(20 * time.Second)
			var all []int
			for i := range n {
				all = append(all, i)
			}
			w.sees(0, alive(all...))
			if round == 2 {
				break
			}
			for i := 1; i < n; i++ {
				w.close(i)
			}
			time.Sleep(2 * time.Minute)
			for i := 1; i < n; i++ {
				w.start(i)
			}
		}
	})
}

// A note of a leave must not catch up with an agent that came back (serf #662).
func TestAgentsThatLeaveAndComeBackTogetherAreNotTakenForLeaving(t *testing.T) {
	inWorld(t, func(w *world) {
		const n = 20
		var all []int
		for i := range n {
			w.start(i)
			all = append(all, i)
		}
		for i := 1; i < n; i++ {
			w.join(i, 0)
		}
		time.Sleep(10 * time.Second)
		var leaving sync.WaitGroup
		for i := 1; i < n; i++ {
			leaving.Go(func() {
				if err := w.pools[i].Leave(); err != nil {
					w.Error(err)
				}
			})
		}
		leaving.Wait()
		for i := 1; i < n; i++ {
			w.close(i)
		}
		for i := 1; i < n; i++ {
			w.start(i)
			w.join(i, 0)
		}
		time.Sleep(time.Minute)
		for i := range n {
			w.sees(i, alive(all...))
		}
	})
}

func TestAPortInUseIsAnErrorThatNamesIt(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(1)
		at := netip.AddrPortFrom(addr(1), 8301)
		_, err := gossip.Start(w.Context(), gossip.Config{
			Name: "other", Bind: at.String(), Advertise: at, Network: w.net.Host("a", addr(1), nil).Network(), Logger: slog.New(slog.DiscardHandler),
		})
		if err == nil || !strings.Contains(err.Error(), "the gossip port 10.0.0.1:8301") {
			w.Errorf("%v", err)
		}
	})
}

func TestStatsTellTheMembers(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(1)
		s := w.pools[1].Stats()
		var missing []string
		for _, k := range []string{"members", "failed", "left", "member_time", "event_time", "encrypted"} {
			if s[k] == "" {
				missing = append(missing, k)
			}
		}
		if len(missing) > 0 || s["members"] != "1" {
			w.Errorf("missing %q in %v", slices.Sorted(slices.Values(missing)), s)
		}
	})
}

func TestAFiredEventReachesAllAndWaitsForNobody(t *testing.T) {
	inWorld(t, func(w *world) {
		got := map[int]chan api.RawEvent{1: make(chan api.RawEvent, 100), 2: make(chan api.RawEvent, 1), 3: nil}
		for i := 1; i <= 3; i++ {
			w.events = got[i]
			w.start(i)
		}
		w.join(2, 1)
		w.join(3, 1)
		time.Sleep(5 * time.Second)
		for i := range 50 {
			if err := w.pools[1].Fire(fmt.Sprint("event", i), []byte("payload")); err != nil {
				w.Error(err)
			}
		}
		time.Sleep(10 * time.Second)
		if len(got[1]) != 50 {
			w.Errorf("who fired 50 events got %d", len(got[1]))
		}
		for i := range 50 {
			if e := <-got[1]; e.Name != fmt.Sprint("event", i) || string(e.Payload) != "payload" || e.LTime == 0 {
				w.Errorf("event %d is %+v", i, e)
			}
		}
		<-got[2] // which had room for one, and still hears of new ones
		if err := w.pools[3].Fire("last", nil); err != nil {
			w.Error(err)
		}
		time.Sleep(5 * time.Second)
		if e := <-got[2]; e.Name != "last" {
			w.Errorf("after many were lost came %+v", e)
		}
		w.sees(1, alive(1, 2, 3))
	})
}

func TestAnEventThatIsTooLargeIsRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(1)
		if err := w.pools[1].Fire("large", make([]byte, 512)); fault.Of(err) != fault.TooLarge {
			w.Errorf("%v", err)
		}
		if err := w.pools[1].Fire("small", make([]byte, 400)); err != nil {
			w.Error(err)
		}
	})
}
