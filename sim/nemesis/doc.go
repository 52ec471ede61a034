// Package nemesis strikes a simulated world with faults: partitions, crashes,
// pauses, bent clocks, disks that fail. It knows the world (package sim) and not
// what runs in it; what it must know of that comes through a Cast, who there is,
// and a Cluster, who looks after the processes.
//
// Whoever runs a cluster checks the faults (Cast.Check), draws strikes of them
// (Cast.Draw), makes a Nemesis in a new world, has it Aim before a node is added
// and Schedule when all are there, and lets it Heal when faults have had their time.
//
//   - fault.go, kinds.go: the vocabulary. A Fault is what a person writes.
//   - cast.go, check.go: who can be struck, and what makes no sense.
//   - draw.go, random.go: a Strike is a fault at one time. All that chance decides
//     is drawn ahead, from streams named after the fault.
//   - points.go, aim.go: faults that wait for something to happen, and strike then.
//   - register.go, reached.go, vary.go, smaller.go: which points a run has passed, and faults
//     that are like others, or fewer.
//   - words.go: a strike in words.
//   - nemesis.go, strike.go: carrying strikes out, ending them, and the log.
package nemesis
