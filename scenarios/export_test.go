package scenarios

// IDs are the names of faults for their streams.
func IDs(faults []Fault) []string { return identities(faults) }
