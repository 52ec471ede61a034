package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"tribune/linearizability"
	"tribune/scenarios"
	"tribune/sim/trace"
)

// maxPicture is how large porcupine's picture may be to become part of the page.
const maxPicture = 3 << 20

// maxOps is how many operations the page has at most.
const maxOps = 50_000

// builder makes the data of a page.
type builder struct {
	run   Run
	data  Data
	nodes map[string]int
	texts map[string]int

	tables eventTables
	places []int // by operation of the histories: its row, -1 for one that is left out
}

// Build makes the data of a page from a run and its trace. The folder is where the
// report will be; it is named in the commands.
func Build(r Run, dir string, from io.Reader) (Data, error) {
	b := &builder{run: r, nodes: map[string]int{}, texts: map[string]int{}}
	b.data.Version = Version
	if d := r.Died; d != nil {
		b.data.Died = &Death{Cause: d.Cause(), End: d.Err.Error(), Output: bothEnds(d.Output)}
	}
	b.facts()
	if err := b.read(from); err != nil {
		return Data{}, err
	}
	b.data.Ops = b.ops()
	b.data.Verdicts = b.verdicts()
	for _, f := range r.Result.Faults {
		until := f.Until
		if until == 0 {
			until = r.Result.Virtual
		}
		b.data.Faults = append(b.data.Faults, Fault{From: int64(f.At), Until: int64(until), Kind: f.Kind, Text: f.Text, Nodes: b.placesOf(f.Nodes)})
	}
	for _, l := range r.Result.Reigns {
		b.data.Reigns = append(b.data.Reigns, Reign{Node: b.node(l.Server), From: int64(l.At), Until: int64(max(l.Until, l.At)), Term: l.Term})
	}
	b.sample()
	b.data.Settings, b.data.Plan = settings(r.Plan), r.Plan.Explain()
	b.data.Replay = commands(r, dir)
	if len(r.Result.Picture) > maxPicture {
		b.data.PictureFile = PictureFile
	} else {
		b.data.Picture = r.Result.Picture
	}
	return b.data, nil
}

func (b *builder) facts() {
	r := b.run.Result
	b.data.Run = Facts{
		Scenario: r.Scenario, About: strings.TrimSpace(b.run.Plan.Scenario.About), Seed: r.Seed, OK: r.OK(), Fingerprint: r.Fingerprint,
		Virtual: int64(r.Virtual), Healed: int64(r.Healed), Took: int64(b.run.Took), Happened: r.Events, Memory: r.PeakMemory,
		Done: r.Ops.OK, Refused: r.Ops.Failed, Unknown: r.Ops.Unknown,
	}
}

// settings is the scenario as a file would be that leaves nothing for the seed to draw
// but the moments and targets of faults: a storm says what was drawn for it.
func settings(p scenarios.Plan) string {
	s := p.Scenario
	s.Storm, s.Seed = false, p.Seed
	return string(scenarios.Write(s, ""))
}

func commands(r Run, dir string) []Command {
	return []Command{
		{strings.Join(append(r.mutant("simctl replay"), dir), " "), "run this again, exactly, and compare the fingerprints"},
		{r.again("-report", "runs"), "run the scenario as its file is now, with this seed"},
		{fmt.Sprintf("simctl explain -seed %d %s", r.Plan.Seed, r.File), "say what the seed has drawn"},
		{strings.Join(append(r.mutant("simctl debug"), dir), " "), "go through it, back and forth, and look into its nodes"},
		{fmt.Sprintf("simctl trace %s", dir), "print every event; -node, -kind, -from and -to choose, -json is for programs"},
	}
}

// mutant is the beginning of a command that runs the agents that this run had.
func (r Run) mutant(verb string) []string {
	if r.Mutant == "" {
		return []string{verb}
	}
	return []string{verb, "-mutant", r.Mutant}
}

// again is the command that makes the run again, if the file is as it was.
func (r Run) again(more ...string) string {
	words := append(r.mutant("simctl run"), "-seed", strconv.FormatUint(r.Plan.Seed, 10))
	return strings.Join(append(append(append(words, r.Flags...), more...), r.File), " ")
}

// text returns the place of a text.
func (b *builder) text(s string) int64 {
	if s == "" {
		return -1
	}
	i, ok := b.texts[s]
	if !ok {
		i = len(b.data.Texts)
		b.texts[s] = i
		b.data.Texts = append(b.data.Texts, s)
	}
	return int64(i)
}

// node returns the place of a node, -1 for the world itself.
func (b *builder) node(name string) int {
	if i, ok := b.nodes[name]; ok {
		return i
	}
	return -1
}

func (b *builder) placesOf(names []string) []int {
	places := []int{}
	for _, name := range names {
		if i := b.node(name); i >= 0 {
			places = append(places, i)
		}
	}
	return places
}

// lanes puts the nodes in the order in which the page shows them: servers, client
// agents, clients, and the rest; s2 before s10.
func (b *builder) lanes(seen map[string]bool) {
	rank := map[string]int{"server": 0, "agent": 1, "client": 2, "other": 3}
	for name := range seen {
		b.data.Nodes = append(b.data.Nodes, Node{Name: name, Role: b.run.Plan.Role(name)})
	}
	slices.SortFunc(b.data.Nodes, func(x, y Node) int {
		px, nx := number(x.Name)
		py, ny := number(y.Name)
		return cmp.Or(cmp.Compare(rank[x.Role], rank[y.Role]), cmp.Compare(px, py), cmp.Compare(nx, ny), cmp.Compare(x.Name, y.Name))
	})
	for i, n := range b.data.Nodes {
		b.nodes[n.Name] = i
	}
}

// number splits a name such as c12.
func number(name string) (string, int) {
	prefix := strings.TrimRight(name, "0123456789")
	n, _ := strconv.Atoi(name[len(prefix):]) // none is 0
	return prefix, n
}

// read reads the trace.
func (b *builder) read(from io.Reader) error {
	seen := map[string]bool{}
	for _, o := range b.run.Result.History {
		seen[b.run.Plan.ClientName(o.Client)] = true
	}
	for _, t := range b.run.Result.Transactions {
		seen[b.run.Plan.ClientName(t.Client)] = true
	}
	if b.run.Result.Lock != nil {
		for _, o := range b.run.Result.Lock.History {
			seen[b.run.Plan.ClientName(o.Client)] = true
		}
	}
	r := trace.NewReader(from)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if e.Kind == trace.Life {
			seen[e.Node] = true
		}
		b.tables.add(e)
	}
	b.lanes(seen)
	b.data.Lives, b.data.Clocks = b.lives(), b.clocks()
	return nil
}

// ops makes the table of operations of all histories, one after the other.
func (b *builder) ops() Table {
	r := b.run.Result
	var rows [][]int64
	for _, o := range r.History {
		what, answer := sayOp(o)
		rows = append(rows, b.op(o.Client, string(o.Kind), o.Key, outcome(o.Outcome, o.Done || o.Kind != linearizability.CAS && o.Kind != linearizability.DeleteCAS), o.Call, o.Return, o.ServedBy, what, answer, o.Error))
	}
	for _, t := range r.Transactions {
		what, answer := sayTxn(t)
		var keys []string
		for _, s := range t.Steps {
			if !slices.Contains(keys, s.Key) {
				keys = append(keys, s.Key)
			}
		}
		slices.Sort(keys)
		rows = append(rows, b.op(t.Client, "txn", strings.Join(keys, "+"), outcome(t.Outcome, t.Done), t.Call, t.Return, "", what, answer, t.Error))
	}
	if r.Lock != nil {
		for _, o := range r.Lock.History {
			what, answer := sayLock(o)
			rows = append(rows, b.op(o.Client, string(o.Kind), "lock", outcome(o.Outcome, o.Done || o.Kind == linearizability.LockRead), o.Call, o.Return, "", what, answer, o.Error))
		}
	}
	return b.bounded(rows)
}

func (b *builder) op(client int, kind, key, outcome string, call, end time.Duration, server, what, answer, err string) []int64 {
	return []int64{
		int64(b.node(b.run.Plan.ClientName(client))), b.text(kind), b.text(key), b.text(outcome), int64(call), int64(end - call),
		int64(b.node(server)), b.text(what), b.text(answer), b.text(err),
	}
}

// bounded leaves operations out if there are too many: every one that a verdict
// speaks of stays, and of the others one in so many.
func (b *builder) bounded(rows [][]int64) Table {
	t := Table{Columns: opColumns(), Rows: [][]int64{}}
	named := map[int]bool{}
	for _, v := range b.run.Result.Verdicts {
		for _, a := range v.Anomalies {
			for _, i := range a.Ops {
				named[b.first(v.Check)+i] = true
			}
		}
	}
	step := (len(rows) + maxOps - 1) / maxOps
	for i, row := range rows {
		b.places = append(b.places, -1)
		if step <= 1 || i%step == 0 || named[i] {
			b.places[i] = len(t.Rows)
			t.Rows = append(t.Rows, row)
		}
	}
	b.data.Sample.Ops = len(rows)
	return t
}

// first is where the history begins that a check judges.
func (b *builder) first(check string) int {
	switch check {
	case "transactions":
		return len(b.run.Result.History)
	case "locks":
		return len(b.run.Result.History) + len(b.run.Result.Transactions)
	}
	return 0
}

// The outcomes of operations, as the page knows them.
const (
	done    = "done"
	unmet   = "condition not met"
	refused = "refused"
	unknown = "unknown"
)

func outcome(o linearizability.Outcome, effective bool) string {
	switch {
	case o == linearizability.Failed:
		return refused
	case o == linearizability.Unknown:
		return unknown
	case !effective:
		return unmet
	}
	return done
}

// Verdicts turns the verdicts of a result into words.
func (b *builder) verdicts() []Verdict {
	all := []Verdict{}
	for _, v := range b.run.Result.Verdicts {
		findings := Findings(b.run.Result, v)
		for i := range findings {
			var ops []int
			for _, op := range findings[i].Ops {
				ops = append(ops, b.places[b.first(v.Check)+op])
			}
			findings[i].Ops = ops
		}
		all = append(all, Verdict{Check: v.Check, Means: means(v.Check), Expected: v.Expected, Got: v.Got, OK: v.OK, Text: v.Text, Findings: findings})
	}
	return all
}
