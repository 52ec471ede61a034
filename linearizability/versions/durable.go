package versions

import (
	"fmt"

	"tribune/linearizability"
)

// Durability says what became of acknowledged writes.
type Durability struct {
	Acknowledged int      // writes
	Keys         int      // that were read in the end
	Lost         []string // what is wrong with the last consistent read of a key
}

// Durable looks at the last consistent read of each key: an acknowledged write must
// be what it returns, or must have been overwritten. It is lost if what is there
// instead was written before it.
func Durable(history []linearizability.Op) Durability {
	var d Durability
	last := map[string]linearizability.Op{}
	var names []string
	for _, o := range history {
		switch {
		case o.Kind != linearizability.Get && o.Outcome == linearizability.OK && tookEffect(o):
			d.Acknowledged++
		case o.Kind == linearizability.Get && o.Outcome == linearizability.OK && o.Mode == "consistent":
			if last[o.Key].Key == "" {
				names = append(names, o.Key)
			}
			if last[o.Key].Call <= o.Call {
				last[o.Key] = o
			}
		}
	}
	d.Keys = len(names)
	all := keys(history)
	for _, name := range names {
		read := last[name]
		if age, by := all[name].age(read); age > 0 {
			d.Lost = append(d.Lost, fmt.Sprintf("%s, acknowledged at %v, is lost: at %v there is %s, which is older", wrote(by), by.Return, read.Call, seen(read)))
		}
	}
	return d
}

// OfTransactions takes transactions apart into what they did to each key, so that
// they can be judged with other operations. What one reads after it has written it is
// left out.
func OfTransactions(history []linearizability.Txn) []linearizability.Op {
	var all []linearizability.Op
	for _, t := range history {
		if t.Outcome == linearizability.Failed || t.Outcome == linearizability.OK && !t.Done {
			continue
		}
		written := map[string]linearizability.Op{}
		var order []string
		for _, s := range t.Steps {
			o := linearizability.Op{Client: t.Client, Key: s.Key, Outcome: t.Outcome, Call: t.Call, Return: t.Return}
			switch s.Verb {
			case linearizability.StepSet, linearizability.StepCAS:
				o.Kind, o.Value = linearizability.Put, s.Value
			case linearizability.StepDelete, linearizability.StepDeleteCAS:
				o.Kind = linearizability.Delete
			case linearizability.StepGet, linearizability.StepGetOrEmpty:
				if _, own := written[s.Key]; t.Outcome == linearizability.OK && !own {
					o.Kind, o.Mode, o.Found, o.Seen, o.SeenAt = linearizability.Get, "consistent", s.Found, s.Seen, s.SeenAt
					all = append(all, o)
				}
				continue
			default:
				continue
			}
			if _, again := written[s.Key]; !again {
				order = append(order, s.Key)
			}
			written[s.Key] = o
		}
		for _, key := range order {
			all = append(all, written[key])
		}
	}
	return all
}
