package server

import (
	"testing"
	"time"

	"tribune/impl/api"
)

func TestOnlyWhoWasAMemberOrWasSoughtForLongIsForgotten(t *testing.T) {
	start := time.Now()
	c := census{patience: 72 * time.Hour}
	c.meet([]api.Member{{Name: "known"}})
	for _, step := range []struct {
		after time.Duration
		name  string
		want  fate
	}{
		{0, "known", forgotten},
		{0, "KNOWN", forgotten}, // the catalog knows no capitals
		{0, "stranger", unsettled},
		{59 * time.Second, "stranger", unsettled},
		{time.Minute, "stranger", silent},
		{71 * time.Hour, "stranger", silent},
		{72 * time.Hour, "stranger", forgotten},
	} {
		if got := c.fate(step.name, start.Add(step.after)); got != step.want {
			t.Errorf("%s after %v: %d, want %d", step.name, step.after, got, step.want)
		}
	}
	c.meet([]api.Member{{Name: "stranger"}})
	if got := c.fate("stranger", start); got != forgotten {
		t.Errorf("named at last, and then not any more: %d", got)
	}
	c.strike("stranger")
	if got := c.fate("stranger", start); got != unsettled {
		t.Errorf("a name that comes up anew: %d", got)
	}
}
