package harness

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"time"

	"tribune/linearizability"
	"tribune/page"
	"tribune/sim/casefile"
)

// Held is a stretch of time in which a node was seen having a role.
type Held struct {
	Role, Node string
	At, Until  time.Duration
}

// hold notes who has the system's roles now.
func (r *run) hold() {
	now := r.world.Now()
	for _, role := range r.system.cast().Roles {
		who := r.Who(role.Name)
		i := slices.IndexFunc(r.result.Roles, func(h Held) bool { return h.Role == role.Name && h.Until == 0 })
		if i >= 0 && r.result.Roles[i].Node != who {
			r.result.Roles[i].Until = now
			i = -1
		}
		if i < 0 && who != "" {
			r.result.Roles = append(r.result.Roles, Held{Role: role.Name, Node: who, At: now})
		}
	}
}

// show writes the page of a run: a single file for a browser. The file is that of the
// case, to be named in commands.
func (r Result) show(s System, file string, recording []byte, to io.Writer) error {
	p := page.Run{
		Facts: r.facts(), Settings: string(casefile.Write(r.Case, Case{}, "")), Picture: r.verdict.Picture(),
		Role: func(node string) string {
			if slices.Contains(s.Nodes, node) {
				return "server"
			}
			return "client"
		},
	}
	every := strings.TrimSuffix(file, ".yaml") + ".trace"
	p.Replay = []page.Command{
		{Line: again(file), About: "run it again, and tell what happens"},
		{Line: again(file) + " -" + traceFlag + " " + every, About: "write every event to a file, packets and writes to disks too"},
		{Line: "simctl trace " + every, About: "print the events of that file; -node, -kind, -from and -to choose, -json is for programs"},
	}
	for _, o := range r.History {
		p.Ops = append(p.Ops, page.OfKey(clientName(o.Client), o))
	}
	for _, f := range r.Faults {
		p.Faults = append(p.Faults, page.Strike{At: f.At, Until: f.Until, Kind: f.Kind, Nodes: f.Nodes, Text: f.Text})
	}
	for _, h := range r.Roles {
		p.Reigns = append(p.Reigns, page.Lead{Node: h.Node, Role: h.Role, At: h.At, Until: h.Until})
	}
	p.Verdicts = []page.Verdict{r.inWords()}
	data, err := page.Build(p, bytes.NewReader(recording))
	if err != nil {
		return err
	}
	return page.Write(to, data)
}

func (r Result) facts() page.Facts {
	f := page.Facts{
		Scenario: r.Case.System, Seed: r.Case.Seed, OK: r.Problem == "", Fingerprint: r.Fingerprint,
		Virtual: int64(r.Virtual), Healed: int64(r.Case.Duration.Duration), Took: int64(r.took),
	}
	for _, o := range r.History {
		switch o.Outcome {
		case linearizability.OK:
			f.Done++
		case linearizability.Failed:
			f.Refused++
		default:
			f.Unknown++
		}
	}
	return f
}

// inWords is what was judged.
func (r Result) inWords() page.Verdict {
	v := page.Verdict{
		Check: "the system", Means: "No node panics, what must hold at every moment does, some operation is carried out, and what clients saw can be.",
		Expected: "holds", Got: "holds", OK: r.Problem == "",
	}
	if v.OK {
		return v
	}
	v.Got = "violated"
	for _, x := range r.Violations {
		v.Findings = append(v.Findings, page.Finding{Kind: x.Invariant, Text: x.Text, At: int64(x.At)})
	}
	for _, e := range r.Ends {
		if strings.HasPrefix(e.Text, panics) {
			v.Findings = append(v.Findings, page.Finding{Kind: panicked, Text: e.Node + ": " + strings.TrimPrefix(e.Text, panics), At: int64(e.At)})
		}
	}
	for _, a := range r.Anomalies {
		v.Findings = append(v.Findings, page.Finding{Kind: string(a.Kind), Text: a.Text, At: int64(a.At), Ops: a.Ops})
	}
	if len(v.Findings) == 0 {
		kind, text, _ := strings.Cut(r.Problem, ": ")
		v.Findings = []page.Finding{{Kind: kind, Text: text, At: int64(r.Virtual)}}
	} else {
		v.Text = r.Problem
	}
	return v
}
