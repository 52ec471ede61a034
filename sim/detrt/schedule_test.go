package detrt_test

import (
	"math"
	"strings"
	"testing"

	"tribune/sim/detrt"
)

func TestASchedulesTextIsReadAsItWasWritten(t *testing.T) {
	for _, text := range []string{"shuffle", "walk", "pct", "pct:1", "pct:16", "pct:2:64", "pct:3:1000000"} {
		s, err := detrt.ParseSchedule(text)
		if err != nil || s.String() != text {
			t.Errorf("%s became %v, %v", text, s, err)
		}
	}
	for text, want := range map[string]detrt.Schedule{
		"shuffle":   {},
		"pct:3:100": {Kind: "pct", Window: 100},
	} {
		if got := want.String(); got != text {
			t.Errorf("%+v is %s and not %s", want, got, text)
		}
	}
}

func TestSchedulesWithoutSenseAreRefused(t *testing.T) {
	for text, why := range map[string]string{
		"":               "none of shuffle, walk, pct",
		"random":         "none of shuffle, walk, pct",
		"walk:2":         "only pct",
		"pct:0":          "not a number of one or more",
		"pct:x":          "not a number",
		"pct:17":         "not between 1 and 16",
		"pct:2:99999999": "",
		"pct:2:1:1":      "give a kind",
	} {
		_, err := detrt.ParseSchedule(text)
		if why == "" && err != nil || why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFeaturesAreCountedAndJoined(t *testing.T) {
	a, b := detrt.Features{0b0011, 0}, detrt.Features{0b0110, 1}
	union, added := a.Join(b)
	if added != 2 || union.Len() != 4 || a.Len() != 2 {
		t.Errorf("%b, %d added", union, added)
	}
	if e := union.Estimate(); math.Abs(e-16*math.Log(16.0/12)) > 1e-9 {
		t.Errorf("4 of 16 bits come from about %.2f features", e)
	}
	if e := (detrt.Features{255}).Estimate(); !math.IsInf(e, 1) {
		t.Errorf("a full set comes from %v features", e)
	}
}
