package versions

import (
	"cmp"
	"fmt"
	"slices"

	"tribune/linearizability"
)

// Order complains about reads that went backwards, and about versions that are not
// what they should be:
//
//   - Stale reads from one process of a server go forward, whoever asks: a read that
//     begins when another has ended returns no earlier version. (What a server has
//     applied it keeps while it lives. A client that changes servers, or whose server
//     is started again, may go back.)
//   - So do default reads that one process of a server was asked for. It hands them on
//     to the leader of the latest term that it knows of, and who begins to lead has
//     applied all that any leader before can have answered with. (Consul's documents
//     promise less: after a change of the leader they may go back.)
//   - Consistent reads go forward wherever they are asked.
//   - Whoever asks and however, a version of a key has one value and a value one
//     version.
//
// Operations with Life 0 say nothing about a server.
func Order(history []linearizability.Op) []string {
	complaints := unique(history)
	lines := map[string][]linearizability.Op{}
	var names []string
	for _, o := range history {
		if o.Kind != linearizability.Get || o.Outcome != linearizability.OK {
			continue
		}
		name := ""
		switch {
		case o.Mode == "consistent":
			name = "consistent reads of " + o.Key
		case o.Life > 0:
			name = fmt.Sprintf("%s reads of %s from %s, process %d,", o.Mode, o.Key, o.ServedBy, o.Life)
		default:
			continue
		}
		if lines[name] == nil {
			names = append(names, name)
		}
		lines[name] = append(lines[name], o)
	}
	for _, name := range names {
		complaints = append(complaints, backwards(name, lines[name])...)
	}
	return complaints
}

// floor is the least that a read may return: a version, or a later one than that,
// since it was seen to be gone.
type floor struct {
	version uint64
	gone    bool
	by      linearizability.Op
}

// backwards walks over reads in the order in which they began, and knows what those
// had returned that ended before.
func backwards(name string, reads []linearizability.Op) []string {
	begun, ended := slices.Clone(reads), slices.Clone(reads)
	slices.SortStableFunc(begun, func(a, b linearizability.Op) int { return cmp.Compare(a.Call, b.Call) })
	slices.SortStableFunc(ended, func(a, b linearizability.Op) int { return cmp.Compare(a.Return, b.Return) })
	var complaints []string
	least := floor{}
	next := 0
	absent := map[linearizability.Op]uint64{} // by a read that found nothing: what had been seen when it began
	for _, o := range begun {
		for ; next < len(ended) && ended[next].Return < o.Call; next++ {
			least = least.after(ended[next], absent)
		}
		switch {
		case !o.Found:
			absent[o] = least.version
		case o.SeenAt < least.version, o.SeenAt == least.version && least.gone:
			complaints = append(complaints, fmt.Sprintf("%s went back: client %d read %s at %v, and client %d had read %s at %v",
				name, o.Client, seen(o), o.Call, least.by.Client, seen(least.by), least.by.Return))
		}
	}
	return complaints
}

// after is the floor after a read that ended.
func (f floor) after(o linearizability.Op, absent map[linearizability.Op]uint64) floor {
	version := o.SeenAt
	if !o.Found {
		version = absent[o]
	}
	if version > f.version || version == f.version && !o.Found && !f.gone {
		return floor{version, !o.Found, o}
	}
	return f
}

// unique complains about versions with two values and values with two versions.
func unique(history []linearizability.Op) []string {
	type version struct {
		key string
		at  uint64
	}
	type value struct{ key, text string }
	values, versions := map[version]string{}, map[value]uint64{}
	var complaints []string
	for _, o := range history {
		if o.Kind != linearizability.Get || o.Outcome != linearizability.OK || !o.Found {
			continue
		}
		v, t := version{o.Key, o.SeenAt}, value{o.Key, o.Seen}
		if other, ok := values[v]; ok && other != o.Seen {
			complaints = append(complaints, fmt.Sprintf("client %d read %s at %v, and version %d had been %s", o.Client, seen(o), o.Return, o.SeenAt, other))
		}
		if other, ok := versions[t]; ok && other != o.SeenAt {
			complaints = append(complaints, fmt.Sprintf("client %d read %s at %v, and that value had version %d", o.Client, seen(o), o.Return, other))
		}
		values[v], versions[t] = o.Seen, o.SeenAt
	}
	return complaints
}
