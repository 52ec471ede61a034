// Package interop holds real agents against real clients: it builds cmd/tribune,
// starts a server and a client agent as processes on loopback, and has programs of
// other people use them.
//
//   - client_*_test.go: the official Go client, with its locks, semaphores and
//     watches. What it sends is written down, and in the end every endpoint of
//     impl/httpapi must have been used with success.
//   - dig_test.go: every form of name that DNS answers for, as dig asks.
//   - unbound_test.go: a caching resolver in front of the agent.
//   - template_test.go: consul-template, built from its Go module, as tools/ pins it.
//   - prometheus_test.go: Prometheus and its discovery of what to scrape, built likewise.
//
// Everything stands behind the build tag interop, since it takes real time and
// programs that not everybody has; a test whose program is not installed is
// skipped and says what to install. `make interop` runs it all; docs/interop.md
// says with which versions that was done.
//
// Nothing of the module is imported here: what these tests know of the agent is
// what its users know.
package interop
