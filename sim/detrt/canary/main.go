// Program canary holds one small program for each source of chance that the
// patches of sim/detrt take out of the runtime: a program whose output differs
// between runs when its patch is left out. The tests of sim/detrt run each in
// child processes, plain and perturbed, and compare what it wrote.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"tribune/sim/detrt"
	"tribune/sim/launch"
)

// canary is one program; what it writes to out is its fingerprint.
type canary struct {
	name string
	run  func(out io.Writer)
}

func main() {
	table := map[string]launch.Main{}
	for _, c := range canaries() {
		table[c.name] = func(in []byte, out io.Writer) {
			var seed uint64
			if err := json.Unmarshal(in, &seed); err != nil {
				fail(err)
			}
			if err := detrt.Run(seed, func() { c.run(out) }); err != nil {
				fail(err)
			}
		}
	}
	launch.ChildMain(table)
	launch.Ensure("tribune/sim/detrt/canary", false)
	if len(os.Args) != 2 || table[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: canary NAME, one of:")
		for _, c := range canaries() {
			fmt.Fprintln(os.Stderr, "  "+c.name)
		}
		os.Exit(2)
	}
	start := time.Now()
	out, err := launch.Output(context.Background(), launch.Spec{Main: os.Args[1], Input: []byte("1")})
	fmt.Printf("%s", out)
	fmt.Fprintln(os.Stderr, time.Since(start).Round(time.Millisecond))
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
