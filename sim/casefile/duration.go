package casefile

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Duration is a time as Go writes it: 300ms, 10s, 5m.
type Duration struct {
	time.Duration
}

// UnmarshalYAML reads a duration with its unit; another text is an error that knows where
// it stands.
func (d *Duration) UnmarshalYAML(node ast.Node) error {
	var text string
	if err := yaml.NodeToValue(node, &text); err != nil {
		return err
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return &yaml.SyntaxError{Message: fmt.Sprintf("\"%s\" is not a duration with a unit, such as 300ms, 10s or 5m", text), Token: node.GetToken()}
	}
	d.Duration = v
	return nil
}
