package main

import (
	"fmt"
	"io"
	"math/rand"
	"time"

	"tribune/sim/detrt"
)

func canaries() []canary {
	return []canary{
		{"clocks", clocks},
	}
}

// clocks: three nodes with skew and drift sleep and tick.
func clocks(out io.Writer) {
	for i := range 3 {
		n := detrt.NewNode(fmt.Sprint("n", i), uint64(i))
		n.Jump(time.Duration(i) * time.Hour)
		n.SetRate(int64(10+i), 10)
		n.Go(func() {
			t0 := time.Now()
			for j := range 3 {
				time.Sleep(time.Second)
				fmt.Fprintln(out, i, j, time.Now(), time.Since(t0), detrt.Now(), rand.Intn(100))
			}
		})
	}
	time.Sleep(10 * time.Second)
	detrt.Collect()
	fmt.Fprintln(out, time.Now())
}
