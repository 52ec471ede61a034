// Package harness finds bugs in a distributed program of your own: it runs the
// program in the simulated world, strikes it with faults, judges what its clients
// saw, and hands back the smallest case that still fails.
//
// The program reaches the network, the disk and commands through a host.Host and
// uses everything else plainly: time, goroutines, net/http. A [System] says what
// runs on which node and what its clients do. The world is built under the Go
// runtime, so tests that use it begin with
//
//	func systems() harness.Systems { return harness.Systems{"register": {...}} }
//
//	func TestMain(m *testing.M) { systems().Main(m) }
//
// Each run is a [Case], in a process of its own: the same case is the same run.
// [Systems.Find] draws cases until one fails and makes it smaller; [Systems.Run]
// runs one, such as a case that was found and kept as a file.
//
// The folder examples/register has a program with a bug, and the test that finds it.
package harness
