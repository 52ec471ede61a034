package main

import (
	"context"
	"fmt"

	"tribune/sim/launch"
)

func buildVerb(_ context.Context, args []string) error {
	f := flags("build", "[-o FILE]", "Builds simctl itself with the deterministic runtime, ahead of time.")
	output := f.String("o", "simctl", "`FILE` to write")
	if rest, err := parse(f, args); err != nil {
		return err
	} else if len(rest) > 0 {
		return fmt.Errorf("%w: unexpected argument %q", errInput, rest[0])
	}
	_, err := launch.Build(launch.Options{Package: "tribune/cmd/simctl", Output: *output})
	return err
}
