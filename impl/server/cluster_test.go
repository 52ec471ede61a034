package server_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/impl/fault"
	"tribune/impl/rpc"
	"tribune/impl/server"
)

// ids lists who is in the raft group as a server knows it: "1 2 3".
func (w *world) ids(i int) string {
	w.Helper()
	servers, err := w.servers[i].Raft().Servers()
	if err != nil {
		w.Fatal(err)
	}
	var s []string
	for _, m := range servers {
		s = append(s, strings.TrimLeft(strings.ReplaceAll(m.ID, "-", ""), "0"))
	}
	return strings.Join(s, " ")
}

// becomes waits until a server knows a raft group of the given servers.
func (w *world) becomes(i int, want string) {
	w.Helper()
	got := ""
	for start := time.Now(); got != want; time.Sleep(100 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			w.Fatalf("server %d has the raft group %q, want %q", i, got, want)
		}
		got = w.ids(i)
	}
}

func TestServersThatWereNotExpectedJoinTheGroupThatIsThere(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		for i := 1; i <= 5; i++ {
			w.start(i)
		}
		for i := 2; i <= 5; i++ {
			w.join(i, 1)
		}
		for i := 1; i <= 5; i++ {
			w.becomes(i, "1 2 3 4 5")
		}
		w.mustPut(5, "key", "v")
		w.equal(1, 2, 3, 4, 5)
	})
}

func TestFewerServersThanExpectedMakeNoGroup(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.start(1)
		w.start(2)
		w.join(2, 1)
		time.Sleep(time.Minute)
		if got := w.ids(1) + w.ids(2); got != "" {
			w.Errorf("a group: %q", got)
		}
		if _, err := w.put(w.Context(), 1, "key", "v"); fault.Of(err) != fault.NoLeader {
			w.Errorf("%v", err)
		}
		w.start(3)
		w.join(3, 2)
		w.leader()
	})
}

func TestServersThatExpectDifferentNumbersMakeNoGroup(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.start(1)
		w.start(2, func(c *server.Config) { c.BootstrapExpect = 3 })
		w.start(3, func(c *server.Config) { c.BootstrapExpect = 3 })
		w.join(2, 1)
		w.join(3, 1)
		time.Sleep(time.Minute)
		if got := w.ids(1) + w.ids(2) + w.ids(3); got != "" {
			w.Errorf("a group: %q", got)
		}
	})
}

func TestAServerWithoutExpectationJoinsAGroupAndMakesNone(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(2, func(c *server.Config) { c.BootstrapExpect = 0 })
		time.Sleep(time.Minute)
		if got := w.ids(2); got != "" {
			w.Errorf("a group: %q", got)
		}
		w.start(1, func(c *server.Config) { c.BootstrapExpect, c.Bootstrap = 0, true })
		w.leader()
		w.join(2, 1)
		w.becomes(2, "1 2")
	})
}

func TestAServerThatLeavesIsTakenOutAndComesBackWhenItJoins(t *testing.T) {
	for _, who := range []string{"leader", "follower"} {
		inWorld(t, 3, func(w *world) {
			w.cluster(3)
			goes := w.leader()
			if who == "follower" {
				goes = w.follower()
			}
			w.mustPut(goes, "key", "v")
			if err := w.servers[goes].Leave(w.Context()); err != nil {
				w.Fatal(err)
			}
			w.close(goes)
			rest := slices.DeleteFunc([]int{1, 2, 3}, func(i int) bool { return i == goes })
			want := map[int]string{1: "2 3", 2: "1 3", 3: "1 2"}[goes]
			for _, i := range rest {
				w.becomes(i, want)
				w.mustPut(i, "key", "w")
			}
			w.start(goes)
			time.Sleep(20 * time.Second)
			if got := w.ids(rest[0]); got != want {
				w.Errorf("it came back unasked: %q", got)
			}
			w.join(goes, rest[0])
			w.becomes(goes, "1 2 3")
			w.wantGet(goes, "key", consistent(), "w")
			w.equal(1, 2, 3)
		})
	}
}

func TestTheLastServerLeaves(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		w.mustPut(1, "key", "v")
		if err := w.servers[1].Leave(w.Context()); err != nil {
			w.Error(err)
		}
		w.close(1)
		w.start(1)
		w.leader()
		w.wantGet(1, "key", consistent(), "v")
	})
}

func TestAServerThatFailsStaysInTheGroupUntilAnotherTakesItsPlace(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.close(3)
		time.Sleep(5 * time.Minute)
		if got := w.ids(1); got != "1 2 3" {
			w.Errorf("the group shrank to %q", got)
		}
		w.start(4)
		w.join(4, 1)
		w.becomes(1, "1 2 4")
		w.mustPut(4, "key", "v")
	})
}

func TestForceLeaveWithPruneTakesAFailedServerOut(t *testing.T) {
	for _, prune := range []bool{false, true} {
		inWorld(t, 3, func(w *world) {
			w.cluster(3)
			gone := w.follower()
			w.close(gone)
			time.Sleep(time.Minute)
			leader := w.leader()
			if err := w.servers[leader].ForceLeave("s"+string(rune('0'+gone)), prune); err != nil {
				w.Fatal(err)
			}
			w.becomes(leader, map[int]string{1: "2 3", 2: "1 3", 3: "1 2"}[gone])
		})
	}
}

func TestAServerWhoseDiskWasLostComesBackUnderANewIdentity(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.mustPut(1, "key", "v")
		lost := w.follower()
		w.close(lost)
		if err := os.RemoveAll(filepath.Join(w.dir, string(rune('0'+lost)))); err != nil {
			w.Fatal(err)
		}
		w.start(lost, func(c *server.Config) { c.NodeID = id(9) })
		leader := w.leader()
		w.join(lost, leader)
		w.becomes(leader, map[int]string{1: "2 3 9", 2: "1 3 9", 3: "1 2 9"}[lost])
		w.wantGet(lost, "key", consistent(), "v")
		w.equal(1, 2, 3)
	})
}

func TestAServerThatMovedIsFoundUnderItsNewAddress(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.mustPut(1, "key", "v")
		moves := w.follower()
		w.close(moves)
		w.mustPut(w.leader(), "key", "w")
		c := w.config(7)
		c.NodeName, c.NodeID, c.DataDir = "s"+string(rune('0'+moves)), id(moves), filepath.Join(w.dir, string(rune('0'+moves)))
		s, err := server.New(w.Context(), c)
		if err != nil {
			w.Fatal(err)
		}
		w.set(moves, s)
		w.within(3*time.Minute, "the new address", func() bool {
			peers, err := w.servers[w.leader()].RaftPeers(w.Context(), api.QueryOptions{})
			return err == nil && slices.Contains(peers, addr(7).String()+":8300") && len(peers) == 3
		})
		w.wantGet(moves, "key", consistent(), "w")
		w.equal(1, 2, 3)
	})
}

// TestServersThatAllMovedFindEachOther restarts a whole cluster under other
// addresses, as containers get them: none of those in the raft group is right,
// and there is no leader to change them.
func TestServersThatAllMovedFindEachOther(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.mustPut(1, "key", "v")
		for i := 1; i <= 3; i++ {
			w.close(i)
		}
		for i := 1; i <= 3; i++ {
			moved := w.config(i + 3)
			w.start(i, func(c *server.Config) {
				c.Host, c.RPCBind, c.RPCAdvertise, c.LANBind, c.LANAdvertise = moved.Host, moved.RPCBind, moved.RPCAdvertise, moved.LANBind, moved.LANAdvertise
			})
		}
		for i := 2; i <= 3; i++ {
			if _, err := w.servers[i].Join(w.Context(), []string{addr(4).String()}); err != nil {
				w.Fatal(err)
			}
		}
		w.wantGet(w.leader(), "key", consistent(), "v")
		w.within(time.Minute, "the new addresses", func() bool {
			peers, err := w.servers[w.leader()].RaftPeers(w.Context(), api.QueryOptions{})
			return err == nil && slices.Equal(peers, []string{"10.0.0.4:8300", "10.0.0.5:8300", "10.0.0.6:8300"})
		})
	})
}

func TestTwoClustersThatMeetStayTwo(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.start(2)
		w.leader()
		time.Sleep(10 * time.Second)
		w.mustPut(1, "key", "one")
		w.mustPut(2, "key", "two")
		w.join(2, 1)
		time.Sleep(2 * time.Minute)
		w.wantGet(1, "key", consistent(), "one")
		w.wantGet(2, "key", consistent(), "two")
		if w.ids(1) != "1" || w.ids(2) != "2" {
			w.Errorf("groups %q and %q", w.ids(1), w.ids(2))
		}
	})
}

func TestAnAgentOfAnotherDatacenterIsNotLetIn(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.start(2, func(c *server.Config) { c.Datacenter = "dc2" })
		_, err := w.servers[2].Join(w.Context(), []string{addr(1).String()})
		if err == nil || !strings.Contains(err.Error(), "wrong datacenter") {
			w.Errorf("%v", err)
		}
		time.Sleep(5 * time.Second)
		if n := len(w.servers[1].Members()); n != 1 {
			w.Errorf("%d members", n)
		}
	})
}

// Two servers that each take the other for the leader must not pass a request
// to and fro.
func TestAForwardedRequestIsNotForwardedAgain(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		at := w.follower()
		client := rpc.NewClient(w.net.Host("client", addr(8), nil).Network())
		for _, o := range []api.QueryOptions{{}, consistent()} {
			_, err := rpc.Call[api.KVResponse](w.Context(), client, addr(at).String()+":8300", "Forwarded.KV.Get", api.KVRequest{Key: "k", QueryOptions: o})
			if fault.Of(err) != fault.NotLeader {
				w.Errorf("%+v: %v: %v", o, fault.Of(err), err)
			}
		}
		if _, err := rpc.Call[api.KVResponse](w.Context(), client, addr(at).String()+":8300", "Forwarded.KV.Get", api.KVRequest{Key: "k", QueryOptions: stale()}); err != nil {
			w.Errorf("a stale read: %v", err)
		}
		servers, err := rpc.Call[[]consensus.Server](w.Context(), client, addr(at).String()+":8300", "Raft.Group", struct{}{})
		if err != nil || len(servers) != 3 {
			w.Errorf("%v, %v", servers, err)
		}
		if err := client.Close(); err != nil {
			w.Error(err)
		}
	})
}

func TestAServerThatCannotStartLeavesNothingOpen(t *testing.T) {
	for _, port := range []string{"8300", "8301"} {
		inWorld(t, 1, func(w *world) {
			l, err := w.net.Host("other", addr(1), nil).Network().Listen(w.Context(), "tcp", "10.0.0.1:"+port)
			if err != nil {
				w.Fatal(err)
			}
			if _, err := server.New(w.Context(), w.config(1)); err == nil || !strings.Contains(err.Error(), "10.0.0.1:"+port) {
				w.Errorf("port %s in use: %v", port, err)
			}
			if err := l.Close(); err != nil {
				w.Error(err)
			}
			w.start(1)
			w.leader()
		})
	}
}

func TestStatusAndStats(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		leader := w.leader()
		for i := 1; i <= 3; i++ {
			a, err := w.servers[i].RaftLeader(context.Background(), api.QueryOptions{})
			if err != nil || a != addr(leader).String()+":8300" {
				w.Errorf("server %d: the leader is %q, %v", i, a, err)
			}
			if _, err := w.servers[i].RaftLeader(context.Background(), api.QueryOptions{Datacenter: "dc2"}); err == nil || err.Error() != fault.TextNoPath {
				w.Errorf("another datacenter: %v", err)
			}
			s := w.servers[i].Stats()
			for section, key := range map[string]string{"raft": "commit_index", "serf_lan": "members", "consul": "leader_addr", "runtime": "goroutines", "build": "version"} {
				if s[section][key] == "" {
					w.Errorf("%s/%s is missing in %v", section, key, s)
				}
			}
			if got := s["consul"]["leader"] == "true"; got != (i == leader) {
				w.Errorf("server %d leads: %v", i, got)
			}
		}
	})
}
