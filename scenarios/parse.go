package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"tribune/netmodel"
	"tribune/sim/casefile"
	"tribune/sim/nemesis"
)

// Load reads a scenario file. An error names the file, the line and what was
// meant.
func Load(file string) (*Scenario, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return Parse(file, b)
}

// Parse reads the text of a scenario file.
func Parse(file string, text []byte) (*Scenario, error) {
	s := defaults()
	s.Checks.Lag.Duration = 0
	tree, err := casefile.Read(file, text, s)
	if err != nil {
		return nil, err
	}
	s.Checks.Lag.Duration = cmp.Or(s.Checks.Lag.Duration, usualLag(s.Agent.RaftMultiplier))
	if s.Name == "" {
		s.Name = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	}
	v := validator{file: file, tree: tree, scenario: s}
	v.check()
	if v.err != nil {
		return nil, v.err
	}
	return s, nil
}

// Write is the reverse of Parse: the text of a file that says the scenario, without
// what goes without saying, and with a comment above it.
func Write(s Scenario, comment string) []byte {
	usual := *defaults()
	usual.Checks.Lag.Duration = usualLag(s.Agent.RaftMultiplier)
	return casefile.Write(s, usual, comment)
}

// Check returns the first thing in a scenario that makes no sense. What Parse
// returns was checked.
func (s Scenario) Check() error {
	v := validator{file: s.Name, tree: &ast.File{}, scenario: &s}
	v.check()
	return v.err
}

// Fitting lists those of the faults that make sense in the scenario.
func (s Scenario) Fitting(faults []Fault) []Fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f Fault) bool {
		v := validator{file: s.Name, tree: &ast.File{}, scenario: &s}
		v.fault("", f)
		return v.err != nil
	})
}

func defaults() *Scenario {
	s := &Scenario{}
	s.Topology = Topology{Servers: 5, Clients: 5}
	s.Network.Model = "lan"
	s.Agent.RaftMultiplier = 1
	s.Workload = Workload{Timeout: Duration{Duration: 5 * second}, Rate: 50, Keys: 5, Reads: "consistent", Via: "servers", Mix: map[string]int{"get": 50, "put": 30, "cas": 15, "delete": 5}}
	s.Duration.Duration = minute
	r := &s.Recovery
	r.Leader.Duration, r.Write.Duration, r.Converge.Duration = 30*second, 30*second, 60*second
	r.Lock.Duration, r.Services.Duration, r.Events.Duration, r.Members.Duration = 90*second, 90*second, 60*second, 120*second
	s.Checks = Checks{
		Linearizable: holds, Sequential: holds, Staleness: holds, Durable: holds, Leaks: holds,
		Transactions: holds, Locks: holds, Invariants: holds, Recovery: holds, Exclusive: holds,
	}
	s.Checks.Lag.Duration = usualLag(s.Agent.RaftMultiplier)
	s.Workload.LockDelay.Duration = 15 * second
	s.Workload.Sessions = onTTL
	s.Seeds = 2
	return s
}

// usualLag is the lag that a scenario has unless it says another one: a leader may say for
// the time of its lease that its data are of this moment, and a tenth of a second is for
// clocks.
func usualLag(multiplier int) time.Duration {
	return time.Duration(multiplier)*second/2 + second/10
}

// validator finds the first thing in a scenario that makes no sense.
type validator struct {
	file     string
	tree     *ast.File
	scenario *Scenario
	err      error
}

// fail reports what is wrong at a place such as "$.faults[0].kind".
func (v *validator) fail(place, format string, args ...any) {
	if v.err != nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	for place != "" {
		if p, err := yaml.PathString(place); err == nil {
			if n, err := p.FilterFile(v.tree); err == nil && n != nil {
				v.err = fmt.Errorf("%s:%d: %s", v.file, n.GetToken().Position.Line, text)
				return
			}
		}
		place = place[:max(strings.LastIndexAny(place, ".["), 0)]
	}
	v.err = fmt.Errorf("%s: %s", v.file, text)
}

func (v *validator) between(place, what string, n, low, high int) {
	if n < low || n > high {
		v.fail(place, "%s: %d is not between %d and %d", what, n, low, high)
	}
}

func (v *validator) oneOf(place, what, word string, known []string) {
	if !slices.Contains(known, word) {
		v.fail(place, "%s: %q is none of %s%s", what, word, strings.Join(known, ", "), casefile.DidYouMean(word, known))
	}
}

func (v *validator) check() {
	s := v.scenario
	v.name()
	v.between("$.topology.servers", "topology.servers (the topology is empty without them)", s.Topology.Servers, 1, 21)
	v.between("$.topology.clients", "topology.clients", s.Topology.Clients, 1, 100)
	if _, err := netmodel.Named(s.Network.Model); err != nil {
		v.fail("$.network.model", "network.model: %v", err)
	}
	v.probability("$.network.loss", "network.loss", s.Network.Loss)
	if s.Network.Latency.Duration < 0 || s.Network.Bandwidth < 0 {
		v.fail("$.network", "network: latency and bandwidth cannot be negative")
	}
	if s.Disk.Sync.Duration < 0 || s.Disk.Write.Duration < 0 {
		v.fail("$.disk", "disk: sync and write cannot be negative")
	}
	v.between("$.agent.raft_multiplier", "agent.raft_multiplier", s.Agent.RaftMultiplier, 1, 10)
	v.between("$.agent.raft_snapshot_threshold", "agent.raft_snapshot_threshold", s.Agent.SnapshotThreshold, 0, 1000000)
	v.between("$.agent.raft_trailing_logs", "agent.raft_trailing_logs", s.Agent.TrailingLogs, 0, 1000000)
	v.between("$.workload.keys", "workload.keys", s.Workload.Keys, 1, 10000)
	v.between("$.seeds", "seeds", s.Seeds, 1, 1000)
	v.oneOf("$.workload.reads", "workload.reads", s.Workload.Reads, readModes())
	if w := s.Workload; w.MaxStale.Duration < 0 || w.MaxStale.Duration > 0 && w.Reads != "stale" {
		v.fail("$.workload.max_stale", "workload.max_stale: it is for stale reads, and not less than nothing")
	}
	v.oneOf("$.workload.via", "workload.via", s.Workload.Via, []string{"servers", "agents"})
	if s.Workload.Via == "agents" && s.Topology.Agents == 0 {
		v.fail("$.workload.via", "workload.via: there is no agent to talk to: topology.agents is 0")
	}
	if s.Workload.Rate <= 0 || s.Workload.Rate > 10000 {
		v.fail("$.workload.rate", "workload.rate: %v operations per second; it must be more than 0 and at most 10000", s.Workload.Rate)
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(s.Workload.Mix)) {
		v.oneOf("$.workload.mix", "workload.mix", name, operations())
		v.between("$.workload.mix."+name, "workload.mix."+name, s.Workload.Mix[name], 0, 1000000)
		total += s.Workload.Mix[name]
	}
	if total == 0 {
		v.fail("$.workload.mix", "workload.mix: all weights are zero")
	}
	v.probability("$.workload.twice", "workload.twice", s.Workload.Twice)
	if s.Workload.Timeout.Duration <= 0 {
		v.fail("$.workload.timeout", "workload.timeout: must be more than zero")
	}
	if s.Duration.Duration <= 0 {
		v.fail("$.duration", "duration: must be more than zero")
	}
	v.clocks()
	v.schedule()
	v.checks()
	v.others()
	v.explore()
	for i, f := range s.Faults {
		v.fault(fmt.Sprintf("$.faults[%d]", i), f)
	}
}

// name checks that a file can be called so, as those are that explore writes, and a word in
// a command.
func (v *validator) name() {
	unfit := func(r rune) bool { return r == '/' || unicode.IsSpace(r) || unicode.IsControl(r) }
	if name := v.scenario.Name; strings.HasPrefix(name, ".") || strings.ContainsFunc(name, unfit) {
		v.fail("$.name", "name: explore writes files of that name: %q has a slash or a blank in it, or begins with a dot", name)
	}
}

// others checks who there is beside servers and the clients of the key/value store.
func (v *validator) others() {
	s := v.scenario
	v.between("$.workload.watchers", "workload.watchers", s.Workload.Watchers, 0, 100)
	v.between("$.workload.prefix_watchers", "workload.prefix_watchers", s.Workload.PrefixWatchers, 0, 100)
	v.between("$.workload.health_watchers", "workload.health_watchers", s.Workload.HealthWatchers, 0, 100)
	if s.Workload.HealthWatchers > 0 && s.Topology.Agents == 0 {
		v.fail("$.workload.health_watchers", "workload.health_watchers: there is no agent whose jobs could be watched: topology.agents is 0")
	}
	v.between("$.workload.heralds", "workload.heralds", s.Workload.Heralds, 0, 100)
	v.between("$.workload.renamers", "workload.renamers", s.Workload.Renamers, 0, 100)
	if s.Workload.Renamers > 0 && s.Topology.Agents == 0 {
		v.fail("$.workload.renamers", "workload.renamers: there is no agent whose name they could try to take: topology.agents is 0")
	}
	v.between("$.workload.tellers", "workload.tellers", s.Workload.Tellers, 0, 100)
	v.between("$.topology.agents", "topology.agents", s.Topology.Agents, 0, 200)
	v.between("$.workload.registrars", "workload.registrars", s.Workload.Registrars, 0, 100)
	if s.Workload.Registrars > 0 && s.Topology.Agents == 0 {
		v.fail("$.workload.registrars", "workload.registrars: there is no agent to register with: topology.agents is 0")
	}
	v.between("$.workload.contenders", "workload.contenders", s.Workload.Contenders, 0, 100)
	v.oneOf("$.workload.sessions", "workload.sessions", s.Workload.Sessions, []string{onTTL, onHealth})
	if s.Workload.Sessions == onHealth && s.Topology.Agents == 0 {
		v.fail("$.workload.sessions", "workload.sessions: there is no agent on whose health they could stand: topology.agents is 0")
	}
	if d := s.Workload.LockDelay.Duration; d < 0 || d > minute {
		v.fail("$.workload.lock_delay", "workload.lock_delay: %v is not between 0 and 1m", d)
	}
}

// explore checks the bounds from which scenarios are drawn.
func (v *validator) explore() {
	e := v.scenario.Explore
	for _, pair := range []struct {
		key       string
		said      []int
		low, high int
	}{
		{"servers", e.Servers, 1, 21}, {"agents", e.Agents, 0, 200}, {"clients", e.Clients, 1, 100}, {"keys", e.Keys, 1, 10000},
		{"watchers", e.Watchers, 0, 100}, {"prefix_watchers", e.PrefixWatchers, 0, 100}, {"health_watchers", e.HealthWatchers, 0, 100},
		{"registrars", e.Registrars, 0, 100}, {"contenders", e.Contenders, 0, 100}, {"renamers", e.Renamers, 0, 100},
		{"heralds", e.Heralds, 0, 100},
		{"tellers", e.Tellers, 0, 100}, {"faults", e.Faults, 0, 100},
	} {
		if !pairOf(pair.said) || len(pair.said) == 2 && (pair.said[0] < pair.low || pair.said[1] > pair.high) {
			v.fail("$.explore."+pair.key, "explore.%s: %v is not the least and the most, between %d and %d, such as [%d, %d]",
				pair.key, pair.said, pair.low, pair.high, max(pair.low, 2), min(pair.high, 5))
		}
	}
	if !pairOf(e.Rate) || len(e.Rate) == 2 && (e.Rate[0] <= 0 || e.Rate[1] > 10000) {
		v.fail("$.explore.rate", "explore.rate: %v is not the least and the most operations per second, more than 0 and at most 10000, such as [10, 80]", e.Rate)
	}
	for _, pair := range []struct {
		key  string
		said []Duration
	}{{"sync", e.Sync}, {"skew", e.Skew}} {
		if n := len(pair.said); n != 0 && (n != 2 || pair.said[0].Duration <= 0 || pair.said[0].Duration > pair.said[1].Duration) {
			v.fail("$.explore."+pair.key, "explore.%s: %v is not the least and the most, more than 0, such as [1ms, 20ms]", pair.key, pair.said)
		}
	}
	for _, model := range e.Network {
		if _, err := netmodel.Named(model); err != nil {
			v.fail("$.explore.network", "explore.network: %v", err)
		}
	}
	who := []string{"random", leaderRole, "majority", "all", holderRole, agentWord}
	servers := v.scenario.Topology.Servers
	for _, n := range e.Servers {
		servers = max(servers, n)
	}
	who = append(who, serverNames(servers)...)
	cast := v.scenario.Cast()
	for _, words := range []struct {
		key         string
		said, known []string
	}{{"reads", e.Reads, readModes()}, {"kinds", e.Kinds, cast.KindNames()}, {"targets", e.Targets, who}, {"on", e.On, cast.NotablePoints()}} {
		for _, word := range words.said {
			v.oneOf("$.explore."+words.key, "explore."+words.key, word, words.known)
		}
	}
}

// pairOf reports whether numbers that are said are two, the lower first.
func pairOf[N int | float64](said []N) bool {
	return len(said) == 0 || len(said) == 2 && said[0] <= said[1]
}

func (v *validator) schedule() {
	if err := v.scenario.Schedule.Check(); err != nil {
		v.fail("$.schedule", "%v", err)
	}
}

func (v *validator) checks() {
	c := v.scenario.Checks
	for _, check := range []struct{ name, expected string }{
		{"sequential", c.Sequential}, {"staleness", c.Staleness}, {"durable", c.Durable},
		{"leaks", c.Leaks}, {"transactions", c.Transactions}, {"locks", c.Locks}, {"invariants", c.Invariants},
		{"recovery", c.Recovery}, {"exclusive", c.Exclusive},
	} {
		v.oneOf("$.checks."+check.name, "checks."+check.name, check.expected, []string{holds, violated})
	}
	v.oneOf("$.checks.linearizable", "checks.linearizable", c.Linearizable, []string{holds, violated, either})
	if c.Bounds != "" {
		v.oneOf("$.checks.bounds", "checks.bounds", c.Bounds, []string{holds})
	}
	if c.Reigns != "" {
		v.oneOf("$.checks.reigns", "checks.reigns", c.Reigns, []string{holds})
	}
	for _, limit := range []struct {
		name string
		Duration
	}{{"lag", c.Lag}, {"outage", c.Outage}, {"behind", c.Behind}} {
		if limit.Duration.Duration < 0 {
			v.fail("$.checks."+limit.name, "checks.%s: %v is less than nothing", limit.name, limit.Duration)
		}
	}
	v.judged()
}

// judged checks that there is somebody by whom what is expected can be judged.
func (v *validator) judged() {
	c, t, w := v.scenario.Checks, v.scenario.Topology, v.scenario.Workload
	for _, check := range []struct {
		name, expected, whom string
		n                    int
	}{
		{"exclusive", c.Exclusive, "workload.contenders", w.Contenders}, {"locks", c.Locks, "workload.contenders", w.Contenders},
		{"transactions", c.Transactions, "workload.tellers", w.Tellers},
	} {
		if check.expected == violated && check.n == 0 {
			v.fail("$.checks."+check.name, "checks.%s: nobody can violate it: %s is 0", check.name, check.whom)
		}
	}
	if c.Bounds != "" && t.Agents == 0 {
		v.fail("$.checks.bounds", "checks.bounds: there is no agent that could be found out in time: topology.agents is 0")
	}
	if c.Behind.Duration > 0 && w.Reads != "default" {
		v.fail("$.checks.behind", "checks.behind: it is for default reads, and workload.reads is %s", w.Reads)
	}
}

func (v *validator) clocks() {
	rates := v.scenario.Clocks.Rates
	if v.scenario.Clocks.Skew.Duration < 0 {
		v.fail("$.clocks.skew", "clocks.skew: %v is less than nothing; it says by how much clocks may be off, either way", v.scenario.Clocks.Skew)
	}
	if len(rates) != 0 && (len(rates) != 2 || rates[0] > rates[1] || rates[0] < 0.1 || rates[1] > 10) {
		v.fail("$.clocks.rates", "clocks.rates: %v is not a pair of the least and the most rate, between 0.1 and 10", rates)
	}
}

func (v *validator) fault(place string, f Fault) {
	var bad *nemesis.Problem
	switch err := v.scenario.Cast().Check(f, v.scenario.Duration.Duration); {
	case errors.As(err, &bad) && bad.Field != "":
		v.fail(place+"."+bad.Field, "%v", err)
	case err != nil:
		v.fail(place, "%v", err)
	case f.Target == holderRole && f.Kind != "pause" && f.Shape != "isolate":
		v.fail(place+".target", "target: who holds the lock can be paused, or isolated by a partition, and nothing else")
	case (f.Target == holderRole || f.Kind == expelKind) && v.scenario.Workload.Contenders == 0:
		v.fail(place, "nobody holds a lock: workload.contenders is 0")
	}
}

func (v *validator) probability(place, what string, p float64) {
	if p < 0 || p > 1 {
		v.fail(place, "%s: %v is not a probability between 0 and 1", what, p)
	}
}

func agentNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("a%d", i+1)
	}
	return names
}

func serverNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("s%d", i+1)
	}
	return names
}

func readModes() []string { return []string{"consistent", "default", "stale"} }

func operations() []string { return []string{"get", "put", "cas", "delete", "delete-cas"} }
