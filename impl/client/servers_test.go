package client

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestTheListHoldsWhoIsThereOnceAndWhoFailedIsAskedLast(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := servers{since: time.Now()}
		names := []string{"a", "b", "c", "d"}
		var there []string
		rt.Repeat(map[string]func(*rapid.T){
			"set": func(rt *rapid.T) {
				there = rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 4, rapid.ID).Draw(rt, "there")
				before := slices.Clone(s.list)
				s.set(there)
				kept := slices.DeleteFunc(before, func(a string) bool { return !slices.Contains(there, a) })
				places := slices.DeleteFunc(slices.Clone(s.list), func(a string) bool { return !slices.Contains(kept, a) })
				if !slices.Equal(kept, places) {
					rt.Fatalf("those who stay changed places: %v, then %v", kept, places)
				}
			},
			"failed": func(rt *rapid.T) {
				a := rapid.SampledFrom(names).Draw(rt, "who")
				s.failed(a)
				if slices.Contains(there, a) && s.list[len(s.list)-1] != a {
					rt.Fatalf("%s failed, and the list is %v", a, s.list)
				}
			},
			"": func(rt *rapid.T) {
				got, want := slices.Sorted(slices.Values(s.list)), slices.Sorted(slices.Values(there))
				if !slices.Equal(got, want) || s.count() != len(want) {
					rt.Fatalf("the list is %v, there are %v", got, want)
				}
				if first := s.pick(); len(want) == 0 && first != "" || len(want) > 0 && first != s.list[0] {
					rt.Fatalf("%q is asked, of %v", first, s.list)
				}
			},
		})
	})
}

func TestAClientGoesOnToAnotherServerAfterSomeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s servers
		s.set([]string{"a", "b", "c"})
		asked := map[string]bool{}
		for range 60 {
			first := s.pick()
			time.Sleep(stay / 2)
			if again := s.pick(); again != first && len(asked) == 0 {
				t.Errorf("%s was asked, and %s soon after", first, again)
			}
			asked[first] = true
			time.Sleep(stay)
		}
		if len(asked) != 3 {
			t.Errorf("in hours only %v were asked", asked)
		}
	})
}
