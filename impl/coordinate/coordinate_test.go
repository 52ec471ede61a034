package coordinate_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/impl/api"
	"tribune/impl/coordinate"
	"tribune/impl/store"
)

// at is a coordinate so many milliseconds along the first axis.
func at(ms float64) *api.Coordinate {
	return &api.Coordinate{Vec: []float64{ms / 1000, 0, 0, 0, 0, 0, 0, 0}}
}

func TestWhatIsNoCoordinateIsRefused(t *testing.T) {
	changed := func(f func(c *api.Coordinate)) *api.Coordinate {
		c := at(1)
		f(c)
		return c
	}
	for _, c := range []struct {
		what string
		c    *api.Coordinate
		want string
	}{
		{"one", at(1), ""},
		{"none", nil, "invalid coordinate"},
		{"not a number", changed(func(c *api.Coordinate) { c.Vec[3] = math.NaN() }), "invalid coordinate"},
		{"an endless height", changed(func(c *api.Coordinate) { c.Height = math.Inf(1) }), "invalid coordinate"},
		{"an endless adjustment", changed(func(c *api.Coordinate) { c.Adjustment = math.Inf(-1) }), "invalid coordinate"},
		{"an error that is not a number", changed(func(c *api.Coordinate) { c.Error = math.NaN() }), "invalid coordinate"},
		{"too few dimensions", changed(func(c *api.Coordinate) { c.Vec = c.Vec[:7] }), "incompatible coordinate"},
		{"no dimensions", &api.Coordinate{}, "incompatible coordinate"},
		{"too many dimensions", changed(func(c *api.Coordinate) { c.Vec = append(c.Vec, 0) }), "incompatible coordinate"},
	} {
		if err := coordinate.Check(c.c); c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

func TestDistanceIsRoundTripTimeWithinASegment(t *testing.T) {
	in := func(segment string, c *api.Coordinate) api.NodeCoordinate {
		return api.NodeCoordinate{Node: "n", Segment: segment, Coord: c}
	}
	list := func(all ...api.NodeCoordinate) []api.NodeCoordinate { return all }
	high := at(3)
	high.Height = 0.002
	huge := at(math.MaxFloat64)
	for _, c := range []struct {
		what string
		a, b []api.NodeCoordinate
		want time.Duration
	}{
		{"along an axis", list(in("", at(1))), list(in("", at(11))), 10 * time.Millisecond},
		{"with heights", list(in("", at(1))), list(in("", high)), 4 * time.Millisecond},
		{"nowhere", list(in("", at(1))), nil, coordinate.Unknown},
		{"other segments", list(in("a", at(1))), list(in("b", at(2))), coordinate.Unknown},
		{"the shared segment", list(in("a", at(1)), in("b", at(5))), list(in("b", at(7)), in("c", at(1))), 2 * time.Millisecond},
		{"none in it", list(in("", nil)), list(in("", at(1))), coordinate.Unknown},
		{"other dimensions", list(in("", at(1))), list(in("", &api.Coordinate{Vec: []float64{1}})), coordinate.Unknown},
		{"farther than can be told", list(in("", at(1))), list(in("", huge)), coordinate.Unknown},
	} {
		if got := coordinate.Distance(c.a, c.b); got.Round(time.Microsecond) != c.want.Round(time.Microsecond) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

// TestTheTableIsAMap compares it with a map from node to coordinate, and with what
// it is after a snapshot.
func TestTheTableIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := fresh(t)
		model, last := map[string]float64{}, uint64(0)
		moved, gone := map[string]uint64{}, uint64(0)
		for index := range uint64(rapid.IntRange(1, 30).Draw(t, "steps")) {
			node := rapid.SampledFrom([]string{"a", "A", "ab", "b"}).Draw(t, "node")
			tx := s.Write()
			_, known := model[strings.ToLower(node)]
			if rapid.Bool().Draw(t, "put") {
				ms := float64(rapid.IntRange(0, 9).Draw(t, "ms"))
				ok(t, coordinate.Put(tx, index+1, api.NodeCoordinate{Node: node, Coord: at(ms)}))
				model[strings.ToLower(node)], last, moved[strings.ToLower(node)] = ms, index+1, index+1
			} else {
				ok(t, coordinate.Forget(tx, index+1, node))
				delete(model, strings.ToLower(node))
				if known {
					last, gone = index+1, index+1
				}
			}
			others := map[string]store.WatchSet{}
			for other := range model {
				if !strings.EqualFold(node, other) {
					others[other] = store.WatchSet{}
					_, _, err := coordinate.Node(s.Read(), others[other], other)
					ok(t, err)
				}
			}
			tx.Commit()
			for other, ws := range others {
				for c := range ws {
					select {
					case <-c:
						t.Fatalf("who waits for %s was woken by a change of %s", other, node)
					default:
					}
				}
			}
		}
		dump, err := coordinate.Export(s.Read())
		ok(t, err)
		restored := fresh(t)
		tx := restored.Write()
		ok(t, coordinate.Import(tx, dump))
		tx.Commit()
		for _, s := range []*store.Store{s, restored} {
			index, all, err := coordinate.Nodes(s.Read(), nil)
			if ok(t, err); index != last || len(all) != len(model) {
				t.Fatalf("at %d %v, want at %d %v", index, all, last, model)
			}
			for _, node := range []string{"a", "ab", "b"} {
				want := gone
				if _, known := model[node]; known {
					want = moved[node]
				}
				if got, _, err := coordinate.Node(s.Read(), nil, node); err != nil || got != want {
					t.Fatalf("the index of %s is %d, %v; want %d", node, got, err, want)
				}
			}
			for _, c := range all {
				_, one, err := coordinate.Node(s.Read(), nil, strings.ToUpper(c.Node))
				if ok(t, err); fmt.Sprint(one) != fmt.Sprint([]api.NodeCoordinate{c}) || c.Coord.Vec[0] != model[strings.ToLower(c.Node)]/1000 {
					t.Fatalf("%v, by itself %v, want %v", c, one, model)
				}
			}
		}
	})
}

func fresh(t *rapid.T) *store.Store {
	s, err := store.New(coordinate.Tables()...)
	ok(t, err)
	return s
}

func ok(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}
