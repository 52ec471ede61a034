// Program canary holds the small programs of the detrt canaries.
package main

import (
	"fmt"
	"math/rand"
	"os"
	"time"
	"tribune/sim/detrt"
)

func main() {
	start := time.Now()
	err := detrt.Run(7, func() {
		for i := range 3 {
			n := detrt.NewNode(fmt.Sprint("n", i), uint64(i))
			n.Jump(time.Duration(i) * time.Hour)
			n.SetRate(int64(10+i), 10)
			n.Go(func() {
				t0 := time.Now()
				for j := range 3 {
					time.Sleep(time.Second)
					fmt.Println(i, j, time.Now(), time.Since(t0), detrt.Now(), rand.Intn(100))
				}
			})
		}
		time.Sleep(10 * time.Second)
		detrt.Collect()
		fmt.Println(time.Now())
	})
	fmt.Println(err)
	fmt.Fprintln(os.Stderr, time.Since(start))
}
