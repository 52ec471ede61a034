package scenarios

import "tribune/sim/casefile"

// Write is the reverse of Parse: the text of a file that says the scenario, without
// what goes without saying, and with a comment above it.
func Write(s Scenario, comment string) []byte { return casefile.Write(s, *defaults(), comment) }
