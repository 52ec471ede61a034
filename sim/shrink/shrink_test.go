package shrink_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tribune/sim/shrink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options shrink lists of numbers: elements go, and those that stay become less.
func options(fails func([]int) bool) shrink.Options[[]int] {
	return shrink.Options[[]int]{
		Candidates: func(list []int) []shrink.Candidate[[]int] {
			var all []shrink.Candidate[[]int]
			for _, rest := range shrink.Without(list) {
				all = append(all, shrink.Candidate[[]int]{Case: rest, What: "fewer"})
			}
			for i, v := range list {
				for _, less := range []int{0, v / 2, v - 1} {
					if less < v {
						smaller := slices.Clone(list)
						smaller[i] = less
						all = append(all, shrink.Candidate[[]int]{Case: smaller, What: "less"})
					}
				}
			}
			return all
		},
		Fails: func(_ context.Context, list []int) (bool, error) { return fails(list), nil },
		Key:   func(list []int) string { return fmt.Sprint(list) },
	}
}

func smallest(t interface{ Fatal(...any) }, start []int, o shrink.Options[[]int]) []int {
	got, err := shrink.Smallest(context.Background(), start, o)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestOnlyWhatMattersIsLeft(t *testing.T) {
	start := make([]int, 100)
	for i := range start {
		start[i] = i
	}
	tries := 0
	o := options(func(list []int) bool {
		tries++
		at := slices.IndexFunc(list, func(v int) bool { return v >= 13 })
		return at >= 0 && slices.IndexFunc(list[at+1:], func(v int) bool { return v >= 57 }) >= 0
	})
	if got := smallest(t, start, o); !slices.Equal(got, []int{13, 57}) {
		t.Errorf("left: %v", got)
	}
	if tries > 200 {
		t.Errorf("%d tries for a hundred elements", tries)
	}
}

func TestNothingThatIsListedCanBeTakenFromTheResult(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SliceOfN(rapid.IntRange(0, 30), 1, 12).Draw(t, "start")
		a, b := rapid.IntRange(0, 4).Draw(t, "divisor"), rapid.IntRange(1, 40).Draw(t, "sum")
		fails := func(list []int) bool { // neither monotone nor simple
			sum := 0
			for _, v := range list {
				sum += v
			}
			return sum >= b && (a == 0 || len(list)%(a+1) != 0)
		}
		if !fails(start) {
			t.Skip("it does not fail")
		}
		o := options(fails)
		got := smallest(t, start, o)
		if !fails(got) {
			t.Fatalf("%v does not fail", got)
		}
		for _, c := range o.Candidates(got) {
			if fails(c.Case) {
				t.Errorf("%v fails too, which is smaller than %v", c.Case, got)
			}
		}
		o.Parallel = 5
		if many := smallest(t, start, o); !slices.Equal(many, got) {
			t.Errorf("side by side %v, one by one %v", many, got)
		}
	})
}

func TestNoCaseIsTriedTwice(t *testing.T) {
	seen := map[string]bool{}
	o := options(func(list []int) bool {
		key := fmt.Sprint(list)
		if seen[key] {
			t.Errorf("%s is tried again", key)
		}
		seen[key] = true
		return slices.Contains(list, 7)
	})
	smallest(t, []int{9, 7, 7, 3, 7, 1, 1, 1}, o)
}

func TestAnErrorEndsTheSearchWithTheBestSoFar(t *testing.T) {
	o := options(nil)
	broken, tries := errors.New("no process could be started"), 0
	o.Fails = func(_ context.Context, list []int) (bool, error) {
		if tries++; tries == 4 {
			return false, broken
		}
		return len(list) >= 2, nil
	}
	got, err := shrink.Smallest(t.Context(), []int{1, 2, 3, 4, 5, 6, 7, 8}, o)
	if !errors.Is(err, broken) || len(got) >= 8 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTheEndOfTheContextLeavesTheBestSoFar(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := options(func(list []int) bool { return len(list) >= 2 })
	o.Tried = func(_ shrink.Candidate[[]int], fails bool) {
		if fails {
			cancel()
		}
	}
	got, err := shrink.Smallest(ctx, []int{1, 2, 3, 4, 5, 6, 7, 8}, o)
	if err != nil || len(got) != 4 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSeedsBeginWithTheOwnAndDoNotRepeat(t *testing.T) {
	for own, want := range map[uint64][]uint64{7: {7, 1, 2, 3}, 2: {2, 1, 3, 4}, 1: {1, 2, 3, 4}} {
		if got := shrink.Seeds(own, 4); !slices.Equal(got, want) {
			t.Errorf("of %d: %v, want %v", own, got, want)
		}
	}
}
