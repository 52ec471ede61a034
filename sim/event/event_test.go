package event_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tribune/sim/detrt"
	"tribune/sim/event"
)

func TestEventsRunInTheOrderOfTheirTimeAndThenOfTheirAsking(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		delays := rapid.SliceOfN(rapid.IntRange(-5, 50), 1, 60).Draw(rt, "delays")
		cancelled := rapid.SliceOfN(rapid.Bool(), len(delays), len(delays)).Draw(rt, "cancelled")
		type ran struct {
			at    time.Duration
			index int
		}
		var got, want []ran
		synctest.Test(t, func(t *testing.T) {
			loop := event.New(detrt.Nanos)
			ctx, cancel := context.WithCancel(t.Context())
			for i, d := range delays {
				e := loop.After(time.Duration(d), func() { got = append(got, ran{loop.Now(), i}) })
				if cancelled[i] && !e.Cancel() {
					t.Error("an event that has not run cannot be cancelled")
				}
			}
			ended := make(chan struct{})
			go func() { loop.Run(ctx, nil); close(ended) }()
			time.Sleep(time.Second)
			if loop.Ran() != uint64(len(got)) {
				t.Errorf("%d events ran, and %d are counted", len(got), loop.Ran())
			}
			cancel()
			<-ended
		})
		for i, d := range delays {
			if !cancelled[i] {
				want = append(want, ran{time.Duration(max(d, 0)), i})
			}
		}
		slices.SortStableFunc(want, func(a, b ran) int { return int(a.at - b.at) })
		if !slices.Equal(got, want) {
			rt.Fatalf("ran %v, want %v", got, want)
		}
	})
}

func TestAnEventCanBeAskedForWhileTheRunnerSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := event.New(detrt.Nanos)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { loop.Run(ctx, nil); close(ended) }()
		loop.After(time.Hour, func() {})
		synctest.Wait()
		done := make(chan time.Duration, 1)
		loop.After(time.Second, func() { done <- loop.Now() })
		if at := <-done; at != time.Second {
			t.Errorf("it ran at %v", at)
		}
		cancel()
		<-ended
	})
}
