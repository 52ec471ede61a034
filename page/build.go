package page

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

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
	places []int // by operation of the run: its row, -1 for one that is left out
}

// PictureFile is where the page says that porcupine's picture is, beside it, if the
// picture is too large to be in it.
const PictureFile = "linearizability.html"

// Build makes the data of a page from a run and its trace, in the form that
// trace.NewReader reads.
func Build(r Run, from io.Reader) (Data, error) {
	b := &builder{run: r, nodes: map[string]int{}, texts: map[string]int{}}
	b.data = Data{
		Version: Version, Run: r.Facts, Nodes: []Node{}, Faults: []Fault{}, Reigns: []Reign{}, Texts: []string{},
		Died: r.Died, Settings: r.Settings, Plan: r.Plan, Replay: append([]Command{}, r.Replay...),
	}
	if err := b.read(from); err != nil {
		return Data{}, err
	}
	b.data.Ops = b.ops()
	b.data.Verdicts = b.verdicts()
	for _, f := range r.Faults {
		until := int64(f.Until)
		if until == 0 {
			until = r.Facts.Virtual
		}
		b.data.Faults = append(b.data.Faults, Fault{From: int64(f.At), Until: until, Kind: f.Kind, Text: f.Text, Nodes: b.placesOf(f.Nodes)})
	}
	for _, l := range r.Reigns {
		b.data.Reigns = append(b.data.Reigns, Reign{Node: b.node(l.Node), From: int64(l.At), Until: int64(max(l.Until, l.At)), Term: l.Term, Role: l.Role})
	}
	b.sample()
	if len(r.Picture) > maxPicture {
		b.data.PictureFile = PictureFile
	} else {
		b.data.Picture = r.Picture
	}
	return b.data, nil
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
		b.data.Nodes = append(b.data.Nodes, Node{Name: name, Role: b.run.Role(name)})
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
	for _, o := range b.run.Ops {
		seen[o.Client] = true
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

// ops makes the table of operations. If there are too many, some are left out: every
// one that a verdict speaks of stays, and of the others one in so many.
func (b *builder) ops() Table {
	t := Table{Columns: opColumns(), Rows: [][]int64{}}
	named := map[int]bool{}
	for _, v := range b.run.Verdicts {
		for _, f := range v.Findings {
			for _, i := range f.Ops {
				named[i] = true
			}
		}
	}
	step := (len(b.run.Ops) + maxOps - 1) / maxOps
	for i, o := range b.run.Ops {
		b.places = append(b.places, -1)
		if step <= 1 || i%step == 0 || named[i] {
			b.places[i] = len(t.Rows)
			t.Rows = append(t.Rows, b.op(o))
		}
	}
	b.data.Sample.Ops = len(b.run.Ops)
	return t
}

func (b *builder) op(o Op) []int64 {
	return []int64{
		int64(b.node(o.Client)), b.text(o.Kind), b.text(o.Key), b.text(o.Outcome), int64(o.Call), int64(o.Return - o.Call),
		int64(b.node(o.Server)), b.text(o.What), b.text(o.Answer), b.text(o.Error),
	}
}

// verdicts are those of the run, with the rows of operations.
func (b *builder) verdicts() []Verdict {
	all := append([]Verdict{}, b.run.Verdicts...)
	for i := range all {
		all[i].Findings = slices.Clone(all[i].Findings)
		for j, f := range all[i].Findings {
			var rows []int
			for _, op := range f.Ops {
				rows = append(rows, b.places[op])
			}
			all[i].Findings[j].Ops = rows
		}
	}
	return all
}
