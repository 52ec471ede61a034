package scenarios

import "tribune/sim/nemesis"

// IDs are the names of faults for their streams.
func IDs(faults []Fault) []string { return nemesis.IDs(faults) }
