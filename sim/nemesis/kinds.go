package nemesis

// Kind is a sort of fault.
type Kind struct {
	Name string
	// Takes lists the fields of a Fault that it takes beside kind and times; those
	// that it needs are marked by "!".
	Takes []string
	// Role, of a cluster's own kind, is whom it strikes when it takes no target.
	Role string
	// Words, of a cluster's own kind, say what happens; %s is to whom.
	Words string
}

// Kinds lists the kinds of faults that strike any cluster.
func Kinds() []Kind {
	return []Kind{
		{Name: "partition", Takes: []string{"shape!", "target", "cuts", "protocol"}},
		{Name: "flap", Takes: []string{"target!", "by!", "period!"}},
		{Name: "loss", Takes: []string{"rate", "duplicate", "reorder", "by", "protocol", "target"}},
		{Name: "slow-link", Takes: []string{"target!", "by!"}},
		{Name: "gray", Takes: []string{"target!", "size!"}},
		{Name: "reset", Takes: []string{"target!"}},
		{Name: "kill", Takes: []string{"target!"}},
		{Name: "power", Takes: []string{"target!"}},
		{Name: "restart", Takes: []string{"target!"}},
		{Name: "pause", Takes: []string{"target!"}},
		{Name: "clock-jump", Takes: []string{"target!", "by!"}},
		{Name: "clock-drift", Takes: []string{"target!", "rate!"}},
		{Name: "disk-full", Takes: []string{"target!"}},
		{Name: "disk-slow", Takes: []string{"target!", "by!"}},
		{Name: "disk-stall", Takes: []string{"target!"}},
		{Name: "disk-error", Takes: []string{"target!", "rate!", "file"}},
		{Name: "bit-rot", Takes: []string{"target!", "size!", "file"}},
	}
}

// The directions that a one-way partition cuts, seen from its target.
const (
	inward  = "in"
	outward = "out"
)

// Shapes lists the shapes of partitions.
func Shapes() []string {
	return []string{"halves", "isolate", "one-way", "bridge", "ring"}
}
