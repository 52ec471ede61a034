// Package debug goes through a recorded run, forwards and backwards, and looks into
// its world at any moment.
//
//   - record.go: a run with its trace, made now or read from a report.
//   - debug.go: a Session, where it is in the run, and how it moves.
//   - command.go: the table of commands, their help, and completion.
//   - see.go: looking; agent.go and machine.go: the commands that show what is seen.
//   - goroutine.go: a dump of goroutines, taken apart and grouped.
//
// Moving costs nothing, since it is moving through the trace. A look makes the run
// again, up to the position, in a process that then ends: looking never changes
// what comes later. That the run was the same up to there, the fingerprint proves.
package debug

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"tribune/scenarios"
	"tribune/scenarios/look"
	"tribune/sim/trace"
)

// Session is somebody's way through a run.
type Session struct {
	run   Recorded
	look  func(context.Context, position) (look.Seen, error)
	out   io.Writer
	notes io.Writer // about the looks, which are no part of what they show
	nodes []string
	// points are the names of those that nodes may pass.
	points []string

	at     position
	filter trace.Predicate // of what step, back and list show; nil: all
	chosen string          // the filter's text
	seen   []sight         // latest last

	another bool // a run that was made for a look was not the recorded one
}

// position is a moment of the run: some time after an event and before the next.
type position struct {
	event int
	after time.Duration
}

// sight is what was seen at a position.
type sight struct {
	position
	look.Seen
}

// New begins a session at the first event of a run. It writes to out.
func New(r Recorded, out io.Writer) *Session {
	s := &Session{run: r, look: r.look, out: out, notes: out}
	there := map[string]bool{}
	for _, e := range r.Events {
		if e.Node != "" && !there[e.Node] {
			there[e.Node] = true
			s.nodes = append(s.nodes, e.Node)
		}
	}
	slices.SortFunc(s.nodes, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	slices.SortStableFunc(s.nodes, func(a, b string) int { return strings.Compare(letters(a), letters(b)) })
	for _, p := range scenarios.Points() {
		s.points = append(s.points, p.Name)
	}
	return s
}

// letters are what s10 and s9 have in common.
func letters(name string) string { return strings.TrimRight(name, "0123456789") }

// Another reports whether what was seen belongs to another run than the recorded one.
func (s *Session) Another() bool { return s.another }

// Prompt is what asks for a command: where the session is.
func (s *Session) Prompt() string { return fmt.Sprintf("(%v #%d) ", s.now(), s.at.event) }

func (s *Session) now() time.Duration { return s.run.Events[s.at.event].At + s.at.after }

func (s *Session) printf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

func (s *Session) note(format string, args ...any) { _, _ = fmt.Fprintf(s.notes, format, args...) }

// table prints rows below a header, in columns.
func (s *Session) table(header string, rows ...string) {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	if len(rows) == 0 {
		rows = []string{"none"}
	}
	for _, line := range append([]string{header}, rows...) {
		_, _ = fmt.Fprintln(w, strings.TrimRight(line, "\t "))
	}
	_ = w.Flush() // a session that cannot be printed is nobody's
}

func row(cells ...any) string {
	texts := make([]string, len(cells))
	for i, c := range cells {
		if texts[i] = fmt.Sprint(c); texts[i] == "" {
			texts[i] = "-"
		}
	}
	return strings.Join(texts, "\t")
}

// line is an event as it is shown.
func (s *Session) line(i int) string {
	mark := ' '
	if i == s.at.event {
		mark = '>'
	}
	return fmt.Sprintf("%c %8s %s", mark, "#"+strconv.Itoa(i), trace.Format(s.run.Events[i]))
}

// move goes somewhere and says where that is.
func (s *Session) move(p position) {
	s.at = p
	s.printf("%s\n", s.line(p.event))
	if p.after > 0 {
		s.printf("  %v later\n", p.after)
	}
}

// find returns the first event from i on, in steps of by, that a predicate chooses;
// -1 if there is none.
func (s *Session) find(i, by int, p trace.Predicate) int {
	for ; i >= 0 && i < len(s.run.Events); i += by {
		if p(uint64(i), s.run.Events[i]) {
			return i
		}
	}
	return -1
}

func (s *Session) shown() trace.Predicate {
	if s.filter != nil {
		return s.filter
	}
	return func(uint64, trace.Event) bool { return true }
}

// gotoCommand goes to a time, an event, the start or the end.
func gotoCommand(_ context.Context, s *Session, arg string) error {
	last := len(s.run.Events) - 1
	switch {
	case arg == "start":
		s.move(position{})
		return nil
	case arg == "end":
		s.move(position{event: last})
		return nil
	case strings.HasPrefix(arg, "#"):
		n, err := strconv.Atoi(arg[1:])
		if err != nil || n < 0 || n > last {
			return fmt.Errorf("there is no event %s; they go from #0 to #%d", arg, last)
		}
		s.move(position{event: n})
		return nil
	}
	d, err := time.ParseDuration(strings.TrimPrefix(arg, "+"))
	if err != nil {
		return fmt.Errorf("%q is no time such as 12.5s, and no event such as #12345", arg)
	}
	if arg[0] == '+' || arg[0] == '-' {
		d += s.now()
	}
	if end := s.run.Events[last].At; d > end {
		s.printf("the run ends at %v\n", end)
		d = end
	}
	s.move(s.time(d))
	return nil
}

// count reads a number of events, 1 or more.
func count(arg string, otherwise int) (int, error) {
	if arg == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is no number of events", arg)
	}
	return n, nil
}

func stepCommand(_ context.Context, s *Session, arg string) error {
	n, err := count(arg, 1)
	if err != nil {
		return err
	}
	to := s.at.event
	for range n {
		next := s.find(to+1, 1, s.shown())
		if next < 0 {
			s.printf("the run ends here\n")
			break
		}
		to = next
	}
	s.move(position{event: to})
	return nil
}

func backCommand(_ context.Context, s *Session, arg string) error {
	n, err := count(arg, 1)
	if err != nil {
		return err
	}
	to := s.at.event
	if s.at.after > 0 {
		to++ // between two events: the first step back is to the one before
	}
	for range n {
		before := s.find(to-1, -1, s.shown())
		if before < 0 {
			s.printf("the run begins here\n")
			to = min(to, s.at.event)
			break
		}
		to = before
	}
	s.move(position{event: to})
	return nil
}

// seek goes to the next event, or back to the last one, that a predicate chooses.
func (s *Session) seek(p trace.Predicate, back bool) error {
	from, by, where := s.at.event+1, 1, "after"
	if back {
		from, by, where = s.at.event-1, -1, "before"
		if s.at.after > 0 {
			from++
		}
	}
	i := s.find(from, by, p)
	if i < 0 {
		return fmt.Errorf("there is no such event %s #%d", where, s.at.event)
	}
	s.move(position{event: i})
	return nil
}

func untilCommand(_ context.Context, s *Session, arg string) error {
	rest, back := strings.CutPrefix(arg, "-back ")
	p, err := trace.ParsePredicate(rest)
	if err != nil {
		return err
	}
	if err := s.seek(p, back); err != nil {
		return fmt.Errorf("%w%s", err, s.strangers(rest))
	}
	return nil
}

// strangers names a node of a predicate that the run does not have, and those that it
// has.
func (s *Session) strangers(predicate string) string {
	for _, m := range regexp.MustCompile(`\bnode\s*=\s*"?([^\s"()]+)`).FindAllStringSubmatch(predicate, -1) {
		if name := m[1]; name != "-" && !slices.Contains(s.nodes, name) {
			return fmt.Sprintf("; there is no node %s, there are %s", name, strings.Join(s.nodes, " "))
		}
	}
	return ""
}

// Until goes to the first event that a predicate chooses; the error says that there
// is none, or what is wrong with the predicate.
func (s *Session) Until(predicate string) error {
	p, err := trace.ParsePredicate(predicate)
	if err != nil {
		return err
	}
	i := s.find(0, 1, p)
	if i < 0 {
		return fmt.Errorf("there is no such event: %s%s", predicate, s.strangers(predicate))
	}
	s.move(position{event: i})
	return nil
}

func nextCommand(_ context.Context, s *Session, arg string) error { return s.kindOrNode(arg, false) }
func prevCommand(_ context.Context, s *Session, arg string) error { return s.kindOrNode(arg, true) }

// point says where nodes pass any point; the name of one is that one alone.
const point = "point"

// kindOrNode seeks an event of a kind, or of or with a node, or where a node passes a
// point.
func (s *Session) kindOrNode(arg string, back bool) error {
	if slices.Contains(s.nodes, arg) {
		return s.seek(func(_ uint64, e trace.Event) bool { return e.Node == arg || e.Peer == arg }, back)
	}
	if arg == point || slices.Contains(s.points, arg) {
		return s.pass(arg, back)
	}
	k, err := trace.ParseKind(arg)
	if err != nil {
		return fmt.Errorf("%w; or give a node: %s; or point, or the name of one, which simctl points lists", err, strings.Join(s.nodes, ", "))
	}
	return s.seek(func(_ uint64, e trace.Event) bool { return e.Kind == k }, back)
}

// pass goes to where a node passes a point next, or passed it last. That is known of
// a run that was made with its points noted.
func (s *Session) pass(name string, back bool) error {
	passed := s.run.Result.Passages
	if len(passed) == 0 {
		return errors.New("the points were not noted in this run; they are when debug makes it, from a scenario's file")
	}
	found := -1
	for i, p := range passed {
		if name != point && p.Point != name {
			continue
		}
		if back && p.At < s.now() {
			found = i
		}
		if !back && p.At > s.now() {
			found = i
			break
		}
	}
	if found < 0 {
		return fmt.Errorf("no node passes that %s %v", map[bool]string{true: "before", false: "after"}[back], s.now())
	}
	s.printf("%s passes the point %s\n", passed[found].Node, passed[found].Point)
	s.move(s.time(passed[found].At))
	return nil
}

// time is the position of a time.
func (s *Session) time(d time.Duration) position {
	next := sort.Search(len(s.run.Events), func(i int) bool { return s.run.Events[i].At > d })
	if next == 0 {
		return position{}
	}
	return position{next - 1, d - s.run.Events[next-1].At}
}

func listCommand(_ context.Context, s *Session, arg string) error {
	n, err := count(arg, 10)
	if err != nil {
		return err
	}
	around := []int{s.at.event}
	for i, left := s.at.event, n/2; left > 0; left-- {
		if i = s.find(i-1, -1, s.shown()); i < 0 {
			break
		}
		around = append(around, i)
	}
	slices.Reverse(around)
	for i := s.at.event; len(around) < n+1; {
		if i = s.find(i+1, 1, s.shown()); i < 0 {
			break
		}
		around = append(around, i)
	}
	for _, i := range around {
		s.printf("%s\n", s.line(i))
	}
	return nil
}

func filterCommand(_ context.Context, s *Session, arg string) error {
	if arg == "" {
		s.filter, s.chosen = nil, ""
		s.printf("all events are shown\n")
		return nil
	}
	p, err := trace.ParsePredicate(arg)
	if err != nil {
		return err
	}
	n := 0
	for i, e := range s.run.Events {
		if p(uint64(i), e) {
			n++
		}
	}
	if n == 0 {
		return errors.New("no event of this run passes that filter; the old one stays")
	}
	s.filter, s.chosen = p, arg
	s.printf("%d of %d events pass the filter\n", n, len(s.run.Events))
	return nil
}

func whereCommand(_ context.Context, s *Session, _ string) error {
	last := len(s.run.Events) - 1
	s.printf("%v, event #%d of #0 to #%d; the run ends at %v\n", s.now(), s.at.event, last, s.run.Events[last].At)
	text := "nobody has led yet"
	for _, r := range s.run.Result.Reigns {
		if r.At <= s.now() {
			text = fmt.Sprintf("%s was the last to become leader, at %v, in term %d", r.Server, r.At, r.Term)
		}
	}
	s.printf("%s\n", text)
	if s.filter != nil {
		s.printf("step, back and list show events with %s\n", s.chosen)
	}
	return nil
}

// faultsCommand knows from the run's result when each fault began and ended.
func faultsCommand(_ context.Context, s *Session, _ string) error {
	n := 0
	for _, f := range s.run.Result.Faults {
		if now := s.now(); f.At > now || f.Until != 0 && f.Until <= now {
			continue
		}
		n++
		until := "to the end"
		if f.Until != 0 {
			until = fmt.Sprintf("until %v", f.Until)
		}
		s.printf("since %v %s: %s\n", f.At, until, f.Text)
	}
	if n == 0 {
		s.printf("no fault lasts here\n")
	}
	return nil
}
