package nemesis

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"tribune/sim/simdisk"
	"tribune/sim/trace"
)

// Point is something that happens, at which a fault may strike. It is found in
// what the world sees, either in an event of the trace or in an operation of a
// disk, so that the program it happens in need not know.
type Point struct {
	Name  string
	About string // what a node does then, a verb phrase; of a point of the world, a sentence
	Takes string // a field of Aim or Fault that says which, "file" or "line", with "!" if it needs it; empty: none
	World bool   // it happens to no node

	Event EventMatch
	Disk  DiskMatch
}

// EventMatch matches events of the trace.
type EventMatch struct {
	Kind trace.Kind // KindNone: none is matched
	// Text is a regular expression of the event's text; a log line begins with its
	// level. If it has a group "peer", that is the node on the other side, or a word
	// that the Cluster knows it by.
	Text  string
	Peer  bool // the event's own peer is the node on the other side
	Debug bool // it is a log line of that level
}

// DiskMatch matches operations of disks.
type DiskMatch struct {
	Op    string // of simdisk.Operation; empty: none is matched
	After bool   // when it has been done, and not failed; otherwise before
	File  string // pattern of the file's name (simdisk.Matches)
	// Changed, if not empty, is a regular expression with a group: what the group
	// finds in the file is not what it last found there on that node. A write is
	// looked at itself; otherwise the file, or In the directory a file of that name.
	Changed string
	In      string
}

// Points lists the points that any program passes.
func Points() []Point {
	disk := func(name, op, before, after string) []Point {
		return []Point{
			{Name: name + "-before", About: "is about to " + before, Takes: "file!", Disk: DiskMatch{Op: op}},
			{Name: name + "-after", About: "has " + after, Takes: "file!", Disk: DiskMatch{Op: op, After: true}},
		}
	}
	return slices.Concat([]Point{
		{Name: "process-start", About: "starts its process", Event: EventMatch{Kind: trace.Life, Text: `^start `}},
		{Name: "process-stop", About: "is asked to stop its process in order", Event: EventMatch{Kind: trace.Life, Text: `^stop$`}},
		{Name: "process-exit", About: "has a process that ends by itself", Event: EventMatch{Kind: trace.Life, Text: `^(exit|panic)`}},
		{Name: "process-killed", About: "is killed, or loses its power", Event: EventMatch{Kind: trace.Life, Text: `^(kill|power failure)`}},
		{Name: "process-paused", About: "is paused", Event: EventMatch{Kind: trace.Life, Text: `^pause`}},
		{Name: "process-resumed", About: "goes on after a pause", Event: EventMatch{Kind: trace.Life, Text: `^resume`}},
		{Name: "peer-connected", About: "has a new connection with another", Event: EventMatch{Kind: trace.NetOpen, Peer: true}},
		{Name: "connection-closed", About: "closes a connection with another in order", Event: EventMatch{Kind: trace.NetClose, Peer: true}},
		{Name: "connection-reset", About: "loses a connection with another by a reset", Event: EventMatch{Kind: trace.NetReset, Text: `^lost$`, Peer: true}},
		{Name: "packet-arrives", About: "gets a packet from another", Event: EventMatch{Kind: trace.NetDeliver, Peer: true}},
		{Name: "packet-dropped", About: "does not get a packet that another has sent", Event: EventMatch{Kind: trace.NetDrop, Peer: true}},
		{Name: "disk-failure", About: "has a disk operation that fails", Event: EventMatch{Kind: trace.DiskFail}},
		{Name: "clock-changed", About: "has a clock that jumps, or goes at another rate", Event: EventMatch{Kind: trace.Fault, Text: `^clock `}},
		{Name: "logged", About: "logs a line", Takes: "line!", Event: EventMatch{Kind: trace.Log}},
		{Name: "fault-begins", World: true, About: "another fault begins", Takes: "line", Event: EventMatch{Kind: trace.Fault}},
		{Name: "fault-ends", World: true, About: "another fault is over", Takes: "line", Event: EventMatch{Kind: trace.Fault, Text: `^` + over}},
	},
		disk("file-create", "create", "create a file", "created a file"),
		disk("file-write", "write", "write to a file", "written to a file"),
		disk("file-sync", "sync", "sync a file", "synced a file"),
		disk("file-truncate", "truncate", "change the length of a file", "changed the length of a file"),
		disk("file-rename", "rename", "rename a file to", "renamed a file to"),
		disk("file-remove", "remove", "remove a file", "removed a file"),
		disk("dir-sync", "syncdir", "sync the names in a directory", "synced the names in a directory"))
}

// AllPoints lists the points that faults of the cast may name, sorted by name.
func (c Cast) AllPoints() []Point {
	all := slices.Concat(Points(), c.Points)
	slices.SortFunc(all, func(a, b Point) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// notable reports whether nodes pass the point now and then: it need not be told
// which file or line is meant, and not every packet passes it.
func (p Point) notable() bool {
	return !p.World && p.Takes == "" && p.Event.Kind != trace.NetDeliver && p.Event.Kind != trace.NetDrop
}

func (c Cast) point(name string) (Point, bool) {
	all := c.AllPoints()
	i := slices.IndexFunc(all, func(p Point) bool { return p.Name == name })
	if i < 0 {
		return Point{}, false
	}
	return all[i], true
}

// HasPeer reports whether there is a node on the other side.
func (p Point) HasPeer() bool { return p.Event.Peer || strings.Contains(p.Event.Text, "(?P<peer>") }

// Watch finds one point among what happens, and where a fault says so only in
// some files or lines.
type Watch struct {
	point      Point
	file       string
	text, line *regexp.Regexp
	changed    *regexp.Regexp
	last       map[string]string // by node: what the group found
}

// NewWatch returns a watch for a point that faults with the given file pattern
// and line (a regular expression) wait for; both may be empty. An expression that
// is none is a mistake of the caller and panics: Check finds those.
func NewWatch(p Point, file, line string) *Watch {
	w := &Watch{point: p, file: p.Disk.File, last: map[string]string{}}
	if file != "" && p.Takes == "file!" {
		w.file = file
	}
	for text, into := range map[string]**regexp.Regexp{p.Event.Text: &w.text, line: &w.line, p.Disk.Changed: &w.changed} {
		if text != "" {
			*into = regexp.MustCompile(text)
		}
	}
	return w
}

// Event reports whether the point is passed by an event, and the word for the
// other side, if it has one.
func (w *Watch) Event(e trace.Event) (peer string, passed bool) {
	m := w.point.Event
	switch {
	case m.Kind == trace.KindNone || e.Kind != m.Kind || w.point.World != (e.Node == ""):
		return "", false
	case w.line != nil && !w.line.MatchString(e.Text):
		return "", false
	case w.point.Name == "fault-begins" && strings.HasPrefix(e.Text, over):
		return "", false
	}
	if m.Peer {
		peer = e.Peer
	}
	if w.text == nil {
		return peer, true
	}
	found := w.text.FindStringSubmatch(e.Text)
	if found == nil {
		return "", false
	}
	if i := w.text.SubexpIndex("peer"); i > 0 {
		peer = found[i]
	}
	return peer, true
}

// Operation reports whether the point is passed by an operation of a disk.
func (w *Watch) Operation(o simdisk.Operation, d *simdisk.Disk) bool {
	m := w.point.Disk
	if m.Op == "" || o.Op != m.Op || o.After != m.After || o.Err != nil || !simdisk.Matches(w.file, o.Name) {
		return false
	}
	if w.changed == nil {
		return true
	}
	b := o.Data
	switch {
	case m.In != "":
		b = d.Content(path.Join(o.Name, m.In))
	case o.Op != "write":
		b = d.Content(o.Name)
	}
	found := w.changed.FindSubmatch(b)
	if found == nil || bytes.Equal(found[1], []byte(w.last[o.Disk])) {
		return false
	}
	w.last[o.Disk] = string(found[1])
	return true
}
