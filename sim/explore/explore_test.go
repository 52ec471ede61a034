package explore_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"tribune/sim/explore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// spectrum is a subject whose case is its number, of which each run sees some bits.
type spectrum struct{ lock }

func (s *spectrum) Run(_ context.Context, c string) (explore.Outcome, error) {
	return explore.Outcome{Seen: []byte(c[:2]), Fingerprint: c}, nil
}

func TestWhatWasSeenIsCounted(t *testing.T) {
	s := &spectrum{lock{word: "abc"}}
	seen := map[int]bool{}
	e := explore.New(s, explore.Options{First: 1, Last: 40}, func(r explore.Run[string]) {
		novel := 0
		for i, b := range []byte(r.Case[:2]) {
			for bit := range 8 {
				if b>>bit&1 == 1 && !seen[8*i+bit] {
					novel++
					seen[8*i+bit] = true
				}
			}
		}
		if r.Novel != novel || r.Kept {
			t.Errorf("%q has %d new bits, and %d are counted; kept %t", r.Case, novel, r.Novel, r.Kept)
		}
	})
	if err := e.Explore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e.Seen() != len(seen) || len(seen) == 0 {
		t.Errorf("%d bits are seen, want %d", e.Seen(), len(seen))
	}
}

// lock is a subject that fails for one word of eight letters, and shows how many of
// its first letters are right.
type lock struct {
	word    string
	unequal int // after so many runs those of one case differ; 0: never

	mu   sync.Mutex
	runs int
}

const letters = "abcdefgh"

func (l *lock) Fresh(n uint64) string {
	draws := rand.New(rand.NewPCG(n, 1))
	b := make([]byte, len(l.word))
	for i := range b {
		b[i] = letters[draws.IntN(len(letters))]
	}
	return string(b)
}

func (l *lock) Vary(n uint64, parent, other string) string {
	draws := rand.New(rand.NewPCG(n, 2))
	b := []byte(parent)
	b[draws.IntN(len(b))] = letters[draws.IntN(len(letters))]
	if draws.IntN(4) == 0 {
		at := draws.IntN(len(b))
		copy(b[at:], other[at:])
	}
	return string(b)
}

func (l *lock) Run(_ context.Context, c string) (explore.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs++
	o := explore.Outcome{Fingerprint: c}
	if l.unequal > 0 && l.runs > l.unequal {
		o.Fingerprint = fmt.Sprint(l.runs)
	}
	right := 0
	for right < len(c) && c[right] == l.word[right] {
		right++
	}
	for i := range right {
		o.Features = append(o.Features, fmt.Sprintf("%d letters", i+1))
	}
	if c == l.word {
		o.Failure = "open"
	}
	return o, nil
}

func exploreAll(t *testing.T, s explore.Subject[string], o explore.Options) []explore.Run[string] {
	t.Helper()
	var runs []explore.Run[string]
	e := explore.New(s, o, func(r explore.Run[string]) { runs = append(runs, r) })
	if err := e.Explore(t.Context()); err != nil {
		t.Fatal(err)
	}
	return runs
}

func TestWhatWasReachedLeadsToWhatWasNot(t *testing.T) {
	o := explore.Options{First: 1, Last: 4000}
	guided := exploreAll(t, &lock{word: "gabehcfd"}, o)
	if last := guided[len(guided)-1]; last.Outcome.Failure != "open" {
		t.Errorf("not found in %d cases", len(guided))
	}
	o.Unguided = true
	plain := exploreAll(t, &lock{word: "gabehcfd"}, o)
	if last := plain[len(plain)-1]; last.Outcome.Failure != "" || len(plain) != 4000 {
		t.Errorf("found by chance, in %d cases: the word is too short for a comparison", len(plain))
	}
}

func TestHowManyRunSideBySideChangesNothing(t *testing.T) {
	one := exploreAll(t, &lock{word: "gabeh"}, explore.Options{First: 1, Last: 300, Parallel: 1, KeepGoing: true})
	many := exploreAll(t, &lock{word: "gabeh"}, explore.Options{First: 1, Last: 300, Parallel: 7, KeepGoing: true})
	if !reflect.DeepEqual(one, many) {
		t.Error("another exploration")
	}
	for i, r := range one {
		if r.Number != uint64(i+1) {
			t.Fatalf("run %d has number %d", i, r.Number)
		}
	}
}

func TestItStopsAtTheFirstFailureUnlessToldOtherwise(t *testing.T) {
	failed := func(runs []explore.Run[string]) (n int) {
		for _, r := range runs {
			if r.Outcome.Failure != "" {
				n++
			}
		}
		return n
	}
	s := &lock{word: "a"}
	if runs := exploreAll(t, s, explore.Options{First: 1, Last: 200}); failed(runs) != 1 || runs[len(runs)-1].Outcome.Failure == "" {
		t.Errorf("%d failures in %d runs, and not one at the end", failed(runs), len(runs))
	}
	if runs := exploreAll(t, s, explore.Options{First: 1, Last: 200, KeepGoing: true}); failed(runs) < 5 || len(runs) != 200 {
		t.Errorf("%d failures in %d runs", failed(runs), len(runs))
	}
}

func TestTheFirstCaseAndOneOfSoManyAreRunTwice(t *testing.T) {
	for _, c := range []struct {
		what               string
		unequal            int
		first, last, again uint64
		found              uint64 // the case that differs; 0: none
	}{
		{"runs differ from the beginning", 1, 1, 200, 50, 1},
		{"in an exploration that begins later, and is short", 1, 7, 9, 50, 7},
		{"runs differ later", 40, 1, 200, 50, 50},
		{"runs are equal", 0, 1, 200, 50, 0},
		{"nobody asks", 1, 1, 200, 0, 0},
	} {
		l := &lock{word: "gabehcfd", unequal: c.unequal}
		runs := exploreAll(t, l, explore.Options{First: c.first, Last: c.last, Again: c.again})
		if last := runs[len(runs)-1]; last.Differs != (c.found > 0) || last.Number != cmp.Or(c.found, c.last) {
			t.Errorf("%s: the last run is %+v, want a difference in case %d", c.what, last, c.found)
		}
	}
	l := &lock{word: "gabehcfd"}
	if exploreAll(t, l, explore.Options{First: 1, Last: 200, Again: 50}); l.runs != 205 {
		t.Errorf("200 cases are %d runs, want 205", l.runs)
	}
}

func TestAnEarlierCorpusIsBuiltUpon(t *testing.T) {
	var runs []explore.Run[string]
	e := explore.New(&lock{word: "gabehcfd"}, explore.Options{First: 1, Last: 200}, func(r explore.Run[string]) { runs = append(runs, r) })
	var features []string
	for i := range 7 {
		features = append(features, fmt.Sprintf("%d letters", i+1))
	}
	e.Add("gabehcfa", features)
	if err := e.Explore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last := runs[len(runs)-1]; last.Outcome.Failure == "" {
		t.Error("one letter from the word, it was not found")
	}
	names, hits := e.Reached()
	if !slices.IsSorted(names) || hits["7 letters"] < 2 {
		t.Errorf("reached %s", strings.Join(names, ", "))
	}
}

type broken struct{ *lock }

var errBroken = errors.New("no process could be started")

func (broken) Run(context.Context, string) (explore.Outcome, error) {
	return explore.Outcome{}, errBroken
}

func TestARunThatCannotBeMadeEndsTheExploration(t *testing.T) {
	e := explore.New(broken{&lock{word: "a"}}, explore.Options{First: 7}, func(explore.Run[string]) { t.Error("told of a run that was not made") })
	if err := e.Explore(t.Context()); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "case 7") {
		t.Errorf("the error is %v", err)
	}
}

func TestTheEndOfTheContextIsTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	e := explore.New(&lock{word: "gabehcfd"}, explore.Options{}, func(explore.Run[string]) {
		if n++; n == 20 {
			cancel()
		}
	})
	if err := e.Explore(ctx); err != nil || n != 20 {
		t.Errorf("%d runs, %v", n, err)
	}
}
