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

// all are the canaries and the races, which are programs too.
func all() []canary {
	list := canaries()
	for _, r := range races() {
		list = append(list, canary{"race-" + r.name, raceMain(r)})
	}
	return list
}

func main() {
	table := map[string]launch.Main{}
	for _, c := range all() {
		table[c.name] = func(in []byte, out io.Writer) {
			var o detrt.Options
			if err := json.Unmarshal(in, &o); err != nil {
				fail(err)
			}
			if err := detrt.Run(o, func() { c.run(out) }); err != nil {
				fail(err)
			}
		}
	}
	launch.ChildMain(table)
	launch.Ensure("tribune/sim/detrt/canary", false)
	var schedule detrt.Schedule
	var err error
	if len(os.Args) == 3 {
		if schedule, err = detrt.ParseSchedule(os.Args[2]); err != nil {
			fail(err)
		}
	}
	if len(os.Args) < 2 || len(os.Args) > 3 || table[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: canary NAME [SCHEDULE], a name of:")
		for _, c := range all() {
			fmt.Fprintln(os.Stderr, "  "+c.name)
		}
		os.Exit(2)
	}
	start := time.Now()
	out, err := launch.Output(context.Background(), launch.Spec{Main: os.Args[1], Input: input(1, schedule)})
	fmt.Printf("%s", out)
	fmt.Fprintln(os.Stderr, time.Since(start).Round(time.Millisecond))
	if err != nil {
		fail(err)
	}
}

// input is what a canary's process is given.
func input(seed uint64, s detrt.Schedule) []byte {
	b, err := json.Marshal(detrt.Options{Seed: seed, Schedule: s})
	if err != nil {
		panic(err) // numbers and a string have a JSON form
	}
	return b
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
