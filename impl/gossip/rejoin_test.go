package gossip_test

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/gossip"
	"tribune/impl/host"
)

func TestAllAgentsFindEachOtherAfterAnOutageOfAll(t *testing.T) {
	for _, order := range [][]int{{1, 2, 3, 4, 5}, {5, 4, 3, 2, 1}, {3, 1, 5, 2, 4}} {
		inWorld(t, func(w *world) {
			w.together(5)
			time.Sleep(10 * time.Second)
			for i := 1; i <= 5; i++ {
				w.close(i)
			}
			time.Sleep(time.Hour)
			for _, i := range order {
				w.start(i)
				time.Sleep(10 * time.Second)
			}
			for i := 1; i <= 5; i++ {
				w.sees(i, alive(1, 2, 3, 4, 5))
			}
		})
	}
}

func TestTwoHalvesThatStartedApartMeet(t *testing.T) {
	inWorld(t, func(w *world) {
		w.together(4)
		time.Sleep(10 * time.Second)
		for i := 1; i <= 4; i++ {
			w.close(i)
		}
		// Both halves are content in themselves, and are restarted once more: what
		// they knew of the other must survive that.
		for range 2 {
			w.net.Cut(addr(3))
			w.start(1)
			w.start(2)
			time.Sleep(3 * time.Minute)
			w.sees(1, alive(1, 2))
			w.close(1)
			w.close(2)
		}
		w.start(1)
		w.start(2)
		time.Sleep(time.Minute)
		w.start(3)
		time.Sleep(time.Minute)
		w.sees(3, alive(3))
		w.net.Mend(addr(3))
		w.start(4)
		time.Sleep(2 * time.Minute)
		for i := 1; i <= 4; i++ {
			w.sees(i, alive(1, 2, 3, 4))
		}
	})
}

func TestAFailedMemberIsRememberedForTheNextStart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(1)
		w.start(2)
		w.join(1, 2)
		time.Sleep(5 * time.Second)
		w.close(2)
		time.Sleep(time.Minute)
		w.sees(1, alive(1)+" node02:failed")
		w.close(1)
		w.start(1)
		time.Sleep(time.Minute)
		w.start(2)
		time.Sleep(time.Minute)
		w.sees(1, alive(1, 2))
	})
}

func TestACorruptPeersFileDoesNotKeepAnAgentDown(t *testing.T) {
	for _, content := range []string{"", "{", `["nowhere"]`, "[1]", "\x00\xff"} {
		inWorld(t, func(w *world) {
			if err := host.ReplaceFile(host.Real().FS(), w.file(1), []byte(content)); err != nil {
				w.Fatal(err)
			}
			w.start(1)
			w.start(2)
			w.join(1, 2)
			time.Sleep(5 * time.Second)
			w.sees(1, alive(1, 2))
			w.close(1)
			w.start(1)
			time.Sleep(5 * time.Second)
			w.sees(1, alive(1, 2))
		})
	}
}

func TestClosingDoesNotWaitForAMemberThatIsNotReached(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(1)
		w.start(2)
		w.join(1, 2)
		time.Sleep(5 * time.Second)
		w.close(1)
		w.net.Cut(addr(2))
		w.start(1)
		time.Sleep(time.Second)
		start := time.Now()
		w.close(1)
		if took := time.Since(start); took > time.Second {
			w.Errorf("it took %v", took)
		}
		w.net.Mend(addr(2))
	})
}

func TestClosingDoesNotWaitForAMemberThatIsSilent(t *testing.T) {
	inWorld(t, func(w *world) {
		silent, err := w.net.Host(name(2), addr(2), host.Real().FS()).Network().Listen(w.Context(), "tcp", "10.0.0.2:8301")
		if err != nil {
			w.Fatal(err)
		}
		defer func() { _ = silent.Close() }()
		if err := os.WriteFile(w.file(1), []byte(`["10.0.0.2:8301"]`), 0o600); err != nil {
			w.Fatal(err)
		}
		w.start(1)
		if _, err := silent.Accept(); err != nil {
			w.Fatal(err)
		}
		start := time.Now()
		w.close(1)
		if took := time.Since(start); took > time.Second {
			w.Errorf("it took %v", took)
		}
	})
}

func FuzzPeersFile(f *testing.F) {
	f.Add([]byte(`["10.0.0.1:8301","[fd00::1]:8301"]`))
	f.Add([]byte(`[""]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		addresses, err := gossip.ParsePeers(b)
		if err != nil {
			return
		}
		for _, a := range addresses {
			if _, err := netip.ParseAddrPort(a); err != nil {
				t.Errorf("%q was taken for an address", a)
			}
		}
	})
}

func TestAnAgentThatSaysAgainThatItIsHereLosesNoEvent(t *testing.T) {
	inWorld(t, func(w *world) {
		got := map[int]chan api.RawEvent{}
		for i := 1; i <= 3; i++ {
			got[i] = make(chan api.RawEvent, 100)
			w.events = got[i]
			w.start(i)
		}
		w.join(2, 1)
		w.join(3, 1)
		fired := 0
		for range 5 {
			for i := 1; i <= 3; i++ {
				time.Sleep(20 * time.Second)
				if err := w.pools[i].Fire("event", []byte{byte(fired)}); err != nil {
					w.Error(err)
				}
				fired++
			}
		}
		time.Sleep(10 * time.Second)
		for i := 1; i <= 3; i++ {
			if len(got[i]) != fired {
				w.Errorf("%d of %d events reached %d", len(got[i]), fired, i)
			}
		}
	})
}
