package trace

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Legend explains the lines that Format makes.
const Legend = `Each line is one event:
  TIME  NODE  KIND  WHAT
TIME is the true virtual time since the world began, in seconds. NODE is where it
happened, "-" for the world itself. KIND and WHAT:
  send deliver drop   a packet: from whom, protocol (or why it was dropped), bytes, checksum,
                      how long it was on its way
  open close reset    a stream: with whom; whether it was lost by a reset, or one was sent
  write sync          a disk: file, bytes, checksum
  meta diskfail       a disk: a name or a length changed; an operation failed
  fault               the planner struck, or stopped
  life                a node was started, stopped, killed, paused, resumed
  log                 a line that the node logged
  op                  a client's operation: invoked, or returned
  check               an invariant spoke
`

func names() []string {
	return []string{
		"none", "send", "deliver", "drop", "open", "close", "reset",
		"write", "sync", "meta", "diskfail", "fault", "life", "log", "op", "check",
	}
}

const kinds = Check + 1

// String is the kind's name, as Format writes it.
func (k Kind) String() string {
	if k >= kinds {
		return fmt.Sprintf("kind%d", uint8(k))
	}
	return names()[k]
}

// Known reports whether there is such a kind of events.
func (k Kind) Known() bool { return k > KindNone && k < kinds }

// ParseKind returns the kind of a name; an unknown one is an error that lists
// the known ones.
func ParseKind(name string) (Kind, error) {
	if i := slices.Index(names(), name); i > 0 {
		return Kind(i), nil
	}
	return KindNone, fmt.Errorf("no kind of event is called %q; there are %s", name, strings.Join(names()[1:], ", "))
}

// Format returns an event as a line, without the line break. Legend explains it.
func Format(e Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%14.9f  %-10s %-8s", e.At.Seconds(), place(e), e.Kind)
	if e.Peer != "" {
		b.WriteString(" " + e.Peer)
	}
	if e.Text != "" {
		b.WriteString(" " + strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(e.Text))
	}
	if e.Size != 0 {
		fmt.Fprintf(&b, " %d bytes", e.Size)
	}
	if e.Sum != 0 {
		fmt.Fprintf(&b, " #%x", e.Sum)
	}
	if e.After != 0 {
		fmt.Fprintf(&b, " after %v", e.After)
	}
	return b.String()
}

// place is where an event happened, as people write it: "-" is the world itself.
func place(e Event) string {
	if e.Node == "" {
		return "-"
	}
	return e.Node
}

// Filter chooses events. Its zero value chooses all.
type Filter struct {
	Node     string // where, or the peer; "-": the world itself; "": any
	Kinds    []Kind // none: any
	From, To time.Duration
}

// Match reports whether the filter chooses an event; To is excluded, and zero
// is no limit.
func (f Filter) Match(e Event) bool {
	return (f.Node == "" || place(e) == f.Node || e.Peer == f.Node) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) &&
		e.At >= f.From && (f.To == 0 || e.At < f.To)
}
