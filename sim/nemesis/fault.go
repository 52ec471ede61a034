package nemesis

import "tribune/sim/casefile"

// Duration is a time as files say it.
type Duration = casefile.Duration

// Fault is something that goes wrong. Which of the fields a kind takes, Kinds
// lists.
type Fault struct {
	Kind   string   `yaml:"kind"`
	At     Duration `yaml:"at"`     // of the first strike
	For    Duration `yaml:"for"`    // how long it lasts
	Every  Duration `yaml:"every"`  // it strikes again and again; 0: once
	Jitter Duration `yaml:"jitter"` // each strike is later by up to this
	Target string   `yaml:"target"` // a node, "random", "majority" or "all", or another word of the Cast
	Shape  string   `yaml:"shape"`  // of a partition
	Cuts   string   `yaml:"cuts"`   // of one that is one-way: "in", what the target hears, or "out"; empty: in turn
	Aim    `yaml:",inline"`

	Rate      float64  `yaml:"rate"`      // a probability, or a clock's rate
	Duplicate float64  `yaml:"duplicate"` // probability
	Reorder   float64  `yaml:"reorder"`   // probability
	By        Duration `yaml:"by"`        // latency, a jump, the down part of a flap
	Period    Duration `yaml:"period"`    // of a flap
	Size      int      `yaml:"size"`      // bytes; of bit-rot, bits
	Protocol  string   `yaml:"protocol"`  // tcp or udp
	File      string   `yaml:"file"`      // pattern of file names (simdisk.Matches), of the fault and of its point
}

// dividesAll reports whether it is a partition of a shape in which all members have
// their place: there is nobody whom it is aimed at.
func (f Fault) dividesAll() bool {
	return f.Kind == "partition" && (f.Shape == "halves" || f.Shape == "ring")
}
