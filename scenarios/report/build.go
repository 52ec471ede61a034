package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"tribune/linearizability"
	"tribune/page"
	"tribune/scenarios"
)

// Build makes the data of a page from a run and its trace. The folder is where the
// report will be; it is named in the commands.
func Build(r Run, dir string, from io.Reader) (page.Data, error) {
	x := r.Result
	p := page.Run{
		Facts: facts(r), Verdicts: verdicts(x), Ops: ops(r), Role: r.Plan.Role,
		Settings: settings(r.Plan), Plan: r.Plan.Explain(), Replay: commands(r, dir), Picture: x.Picture,
	}
	for _, f := range x.Faults {
		p.Faults = append(p.Faults, page.Strike{At: f.At, Until: f.Until, Kind: f.Kind, Nodes: f.Nodes, Text: f.Text})
	}
	for _, l := range x.Reigns {
		p.Reigns = append(p.Reigns, page.Lead{Node: l.Server, Role: "leader", At: l.At, Until: l.Until, Term: l.Term})
	}
	for _, s := range r.Plan.Servers {
		c := s.Clock()
		p.Clocks = append(p.Clocks, page.Start{Node: s.Name, Offset: c.Skew, Rate: float64(c.Num) / float64(c.Den)})
	}
	if d := r.Died; d != nil {
		p.Died = &page.Death{Cause: d.Cause(), End: d.Err.Error(), Output: bothEnds(d.Output)}
	}
	return page.Build(p, from)
}

func facts(run Run) page.Facts {
	r := run.Result
	return page.Facts{
		Scenario: r.Scenario, About: strings.TrimSpace(run.Plan.Scenario.About), Seed: r.Seed, OK: r.OK(), Fingerprint: r.Fingerprint,
		Virtual: int64(r.Virtual), Healed: int64(r.Healed), Took: int64(run.Took), Happened: r.Events, Memory: r.PeakMemory,
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

func commands(r Run, dir string) []page.Command {
	return []page.Command{
		{Line: "simctl replay " + dir, About: "run this again, exactly, and compare the fingerprints"},
		{Line: r.again("-report", "runs"), About: "run the scenario as its file is now, with this seed"},
		{Line: r.explain(), About: "say what the seed has drawn"},
		{Line: "simctl debug " + dir, About: "go through it, back and forth, and look into its nodes"},
		{Line: fmt.Sprintf("simctl trace %s", dir), About: "print every event; -node, -kind, -from and -to choose, -json is for programs"},
	}
}

// again is the command that makes the run again, if the file is as it was.
func (r Run) again(more ...string) string {
	words := []string{"simctl run"}
	if r.Mutant != "" {
		words = append(words, "-mutant", r.Mutant)
	}
	return strings.Join(slices.Concat(words, r.seed(), r.Flags, more, []string{r.File}), " ")
}

// explain is the command that says what was drawn for the run. How much servers log is
// none of it.
func (r Run) explain() string {
	drawn := slices.DeleteFunc(slices.Clone(r.Flags), func(flag string) bool { return flag == "-v" })
	return strings.Join(slices.Concat([]string{"simctl explain"}, r.seed(), drawn, []string{r.File}), " ")
}

func (r Run) seed() []string { return []string{"-seed", strconv.FormatUint(r.Plan.Seed, 10)} }

// ops are the operations of all histories, one history after the other.
func ops(run Run) []page.Op {
	r, name := run.Result, run.Plan.ClientName
	var all []page.Op
	for _, o := range r.History {
		all = append(all, page.OfKey(name(o.Client), o))
	}
	for _, t := range r.Transactions {
		var keys []string
		for _, s := range t.Steps {
			if !slices.Contains(keys, s.Key) {
				keys = append(keys, s.Key)
			}
		}
		slices.Sort(keys)
		what, answer := sayTxn(t)
		all = append(all, page.Op{
			Client: name(t.Client), Kind: "txn", Key: strings.Join(keys, "+"), Outcome: page.Outcome(t.Outcome, t.Done),
			Call: t.Call, Return: t.Return, What: what, Answer: answer, Error: t.Error,
		})
	}
	if r.Lock == nil {
		return all
	}
	for _, o := range r.Lock.History {
		what, answer := sayLock(o)
		all = append(all, page.Op{
			Client: name(o.Client), Kind: string(o.Kind), Key: "lock", Outcome: page.Outcome(o.Outcome, o.Done || o.Kind == linearizability.LockRead),
			Call: o.Call, Return: o.Return, What: what, Answer: answer, Error: o.Error,
		})
	}
	return all
}

// first is where, among the operations of all histories, those begin that a check judges.
func first(r scenarios.Result, check string) int {
	switch check {
	case "transactions":
		return len(r.History)
	case "locks":
		return len(r.History) + len(r.Transactions)
	}
	return 0
}

// verdicts are those of a result in words, with places in ops.
func verdicts(r scenarios.Result) []page.Verdict {
	all := inWords(r)
	for _, v := range all {
		for _, f := range v.Findings {
			for i := range f.Ops {
				f.Ops[i] += first(r, v.Check)
			}
		}
	}
	return all
}

// inWords are the verdicts of a result, with places in the history that each judges.
func inWords(r scenarios.Result) []page.Verdict {
	all := []page.Verdict{}
	for _, v := range r.Verdicts {
		all = append(all, page.Verdict{Check: v.Check, Means: means(v.Check), Expected: v.Expected, Got: v.Got, OK: v.OK, Text: v.Text, Findings: Findings(r, v)})
	}
	return all
}
