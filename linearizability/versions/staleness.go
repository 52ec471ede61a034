package versions

import (
	"fmt"
	"time"

	"tribune/linearizability"
	"tribune/linearizability/spread"
)

// Staleness says how old what reads returned was: for how long it had been
// overwritten, by an acknowledged write, when the read began; zero if it was not.
type Staleness struct {
	Reads int           `json:"reads"` // that returned
	Fresh int           `json:"fresh"` // of them that were not stale at all
	Age   spread.Spread `json:"age"`   // of all of them
}

// String gives the share of fresh reads, and how old the others were.
func (s Staleness) String() string {
	if s.Reads == 0 {
		return "no reads"
	}
	text := fmt.Sprintf("%d reads, %.1f %% fresh", s.Reads, 100*float64(s.Fresh)/float64(s.Reads))
	if s.Fresh == s.Reads {
		return text
	}
	return fmt.Sprintf("%s, p50 %v, p99 %v, at most %v old", text, spread.Short(s.Age.P50), spread.Short(s.Age.P99), spread.Short(s.Age.Max))
}

// Measure returns the staleness of the reads of a history by their mode.
func Measure(history []linearizability.Op) map[string]Staleness {
	all := keys(history)
	ages := map[string][]time.Duration{}
	for _, o := range history {
		if o.Kind == linearizability.Get && o.Outcome == linearizability.OK {
			age, _ := all[o.Key].age(o)
			ages[o.Mode] = append(ages[o.Mode], age)
		}
	}
	found := map[string]Staleness{}
	for mode, a := range ages {
		s := Staleness{Reads: len(a), Age: spread.Of(a)}
		for _, d := range a {
			if d == 0 {
				s.Fresh++
			}
		}
		found[mode] = s
	}
	return found
}

// age is for how long what a read returned had been overwritten when it began, and
// by what.
func (k *key) age(read linearizability.Op) (time.Duration, linearizability.Op) {
	c := k.overwritten(read)
	if c.at >= read.Call {
		return 0, linearizability.Op{}
	}
	return read.Call - c.at, c.by
}

// Beyond complains about reads that were older than they may be: consistent ones that
// were stale at all, and stale ones that were older than the server said that its
// state may be (X-Consul-LastContact), or than the read allowed (max_stale), and a lag
// besides.
func Beyond(history []linearizability.Op, lag time.Duration) []string {
	return older(history, func(o linearizability.Op) time.Duration {
		switch {
		case o.Mode == "stale" && o.MaxStale > 0:
			return min(o.Contact, o.MaxStale) + lag
		case o.Mode == "stale":
			return o.Contact + lag
		case o.Mode == "consistent":
			return 0
		}
		return never
	})
}

// Behind complains about reads of a mode that were older than a limit.
func Behind(history []linearizability.Op, mode string, limit time.Duration) []string {
	return older(history, func(o linearizability.Op) time.Duration {
		if o.Mode == mode {
			return limit
		}
		return never
	})
}

// older complains about reads that were older than allowed says.
func older(history []linearizability.Op, allowed func(linearizability.Op) time.Duration) []string {
	all := keys(history)
	var complaints []string
	for _, o := range history {
		if o.Kind != linearizability.Get || o.Outcome != linearizability.OK {
			continue
		}
		most := allowed(o)
		if age, by := all[o.Key].age(o); age > most {
			complaints = append(complaints, fmt.Sprintf("client %d read %s from %s at %v (%s), %v after %s was acknowledged; %v were allowed",
				o.Client, seen(o), o.ServedBy, o.Call, o.Mode, age, wrote(by), most))
		}
	}
	return complaints
}

// seen says what a read returned.
func seen(o linearizability.Op) string {
	if !o.Found {
		return "no " + o.Key
	}
	return fmt.Sprintf("%s=%s@%d", o.Key, o.Seen, o.SeenAt)
}

// wrote says what a write did.
func wrote(o linearizability.Op) string {
	if !puts(o) {
		return fmt.Sprintf("the deletion of %s by client %d", o.Key, o.Client)
	}
	return fmt.Sprintf("%s=%s of client %d", o.Key, o.Value, o.Client)
}
