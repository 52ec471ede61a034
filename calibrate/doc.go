//go:build linux

// Command calibrate holds the simulator against reality: the same measurements are
// taken of real agents, processes in Linux network namespaces, and of the same
// agents in the simulated world, and their distributions are compared in a table.
//
//   - plan.go: what is measured, under which delay and loss.
//   - measure.go: the measurements. One program takes them in both worlds; it knows
//     a host.Network to ask agents by and a way to start and kill them.
//   - reality.go: namespaces and processes. router.go: the links between them.
//   - simulated.go: the same nodes in package sim.
//   - machine.go: what the simulator is told of the machine: how long an fsync takes
//     here and what a message costs.
//   - table.go: quantiles, the Kolmogorov-Smirnov distance, verdicts.
//
// Both worlds draw delay and loss from the same netmodel.Link. In reality that is
// done by a router in user space, to which each namespace is connected by a TUN
// device, so that everything else is the kernel's: its TCP, its UDP, its timers.
//
// `make calibrate` runs it, as root, in about a quarter of an hour. The exit status is
// 1 if a measurement differs by more than its bound; docs/calibration.md has the
// results, and what is known of the differences.
package main
