package casefile

import "time"

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
