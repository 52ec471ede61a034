package check

import (
	"context"
	"fmt"
	"time"

	"tribune/impl/api"
	"tribune/impl/host"
)

// script runs a command: exit status 0 is passing, 1 a warning, everything else
// critical.
func (c Config) script(d api.CheckDefinition, timeout time.Duration) probe {
	return func(ctx context.Context) finding {
		output := &tail{limit: c.outputMaxSize(d)}
		status, err := c.Exec.Run(ctx, host.Command{Args: d.ScriptArgs, Stdout: output, Stderr: output})
		switch {
		case err != nil && ctx.Err() != nil:
			return finding{api.HealthCritical, fmt.Sprintf("Timed out (%s) running check", timeout) + output.below()}
		case err != nil:
			return finding{api.HealthCritical, err.Error() + output.below()}
		case status == 0:
			return finding{api.HealthPassing, output.String()}
		case status == 1:
			return finding{api.HealthWarning, output.String()}
		default:
			return finding{api.HealthCritical, output.String()}
		}
	}
}

// tail keeps the last bytes of what is written to it.
type tail struct {
	limit int
	total int
	kept  []byte
}

// Write takes everything.
func (t *tail) Write(b []byte) (int, error) {
	t.total += len(b)
	t.kept = append(t.kept, b[max(0, len(b)-t.limit):]...)
	t.kept = append(t.kept[:0], t.kept[max(0, len(t.kept)-t.limit):]...)
	return len(b), nil
}

// String is what was kept, and how much was not.
func (t *tail) String() string {
	if t.total > t.limit {
		return fmt.Sprintf("Captured %d of %d bytes\n...\n%s", t.limit, t.total, t.kept)
	}
	return string(t.kept)
}

// below is String, set off from what stands above it.
func (t *tail) below() string {
	if t.total == 0 {
		return ""
	}
	return "\n\n" + t.String()
}
