package nemesis

import "time"

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

	Rate      float64  `yaml:"rate"`      // a probability, or a clock's rate
	Duplicate float64  `yaml:"duplicate"` // probability
	Reorder   float64  `yaml:"reorder"`   // probability
	By        Duration `yaml:"by"`        // latency, a jump, the down part of a flap
	Period    Duration `yaml:"period"`    // of a flap
	Size      int      `yaml:"size"`      // bytes; of bit-rot, bits
	Protocol  string   `yaml:"protocol"`  // tcp or udp
	File      string   `yaml:"file"`      // pattern of file names (path.Match)
}

// Duration is a time as Go writes it: 300ms, 10s, 5m.
type Duration struct {
	time.Duration
}

// UnmarshalYAML reads a duration with its unit; another text is a *UnitError.
func (d *Duration) UnmarshalYAML(read func(any) error) error {
	var text string
	if err := read(&text); err != nil {
		return err
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return &UnitError{text}
	}
	d.Duration = v
	return nil
}

// UnitError says that a text is no duration.
type UnitError struct{ Text string }

// Error implements error.
func (e *UnitError) Error() string {
	return "\"" + e.Text + "\" is not a duration with a unit, such as 300ms, 10s or 5m"
}
