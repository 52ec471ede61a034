// Package scenarios runs real agents in a simulated world, as YAML files say,
// and judges what their clients saw.
//
//   - schema.go, parse.go: what a file may say, and errors that name the line.
//   - plan.go: everything that is drawn from the seed, drawn ahead; draw.go: storms, and
//     what is explored, drawn from bounds.
//   - explain.go: a plan in words.
//   - run.go: one run, in a process of its own (see sim/launch).
//   - cluster.go: what sim/nemesis, which strikes the world with faults, must know.
//   - client.go: the clients, which are Consul's official ones.
//   - locks.go, health.go: those who want a lock, and what their sessions stand on.
//   - bank.go: those who move money with transactions.
//   - watches.go, prefixes.go: those who wait for keys and for checks to change.
//   - fleet.go, resolve.go, events.go: client agents with services, their DNS, and
//     user events.
//   - invariants.go: what is watched while a run goes on.
//   - replica.go: what was committed, applied once more and held against the servers.
//   - judge.go: the verdicts (docs/checks.md says what each asks, and why).
//   - parent.go: starting runs. What is written about them is package report's.
//   - nodes.go: what the nodes of a run are, and their names.
//
// A run has two phases. In the first the faults strike and safety must hold. Then
// they stop, everything is healed, and liveness is demanded: a leader, a write,
// and equal state machines, each within a stated virtual time.
package scenarios
