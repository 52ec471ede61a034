package check_test

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/check"
	"tribune/impl/fault"
	"tribune/impl/host"
)

func TestADefinitionThatMakesNoSenseIsRefusedWithConsulsWords(t *testing.T) {
	const (
		second = time.Second
		noTime = "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"
	)
	for _, c := range []struct {
		d    api.CheckDefinition
		want string
	}{
		{api.CheckDefinition{}, "TTL must be > 0 for TTL checks"},
		{api.CheckDefinition{Interval: second}, "TTL must be > 0 for TTL checks"},
		{api.CheckDefinition{TTL: -1}, "TTL must be > 0 for TTL checks"},
		{api.CheckDefinition{Interval: second, TTL: second}, "Interval and TTL cannot both be specified"},
		{api.CheckDefinition{HTTP: "u", Interval: second, TTL: second}, "Interval and TTL cannot both be specified"},
		{api.CheckDefinition{HTTP: "u"}, noTime},
		{api.CheckDefinition{HTTP: "u", TTL: second}, noTime},
		{api.CheckDefinition{TCP: "a"}, noTime},
		{api.CheckDefinition{UDP: "a"}, noTime},
		{api.CheckDefinition{GRPC: "a"}, noTime},
		{api.CheckDefinition{H2PING: "a"}, noTime},
		{api.CheckDefinition{ScriptArgs: []string{"a"}, Interval: -1}, noTime},
		{api.CheckDefinition{OSService: "a"}, noTime},
		{api.CheckDefinition{OSService: "a", Interval: second}, "OSService checks exist on Windows only"},
		{api.CheckDefinition{HTTP: "u", AliasService: "s", Interval: second}, "Interval cannot be set for Alias checks"},
		{api.CheckDefinition{AliasNode: "n", TTL: second}, "TTL must be not be set for Alias checks"},
		{api.CheckDefinition{TTL: second, OutputMaxSize: -1}, "MaxOutputMaxSize must be positive"},
		{api.CheckDefinition{TTL: second, FailuresBeforeWarning: 3, FailuresBeforeCritical: 2}, "FailuresBeforeWarning can't be higher than FailuresBeforeCritical"},
		{api.CheckDefinition{ScriptArgs: []string{"a"}, Interval: second}, "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or 'enable_local_script_checks' to true"},
	} {
		err := check.Config{}.Validate(c.d)
		if err == nil || err.Error() != c.want || fault.Of(err) != fault.Invalid {
			t.Errorf("%+v: %v; want %s", c.d, err, c.want)
		}
		if k, err := (check.Config{}).Start(c.d); k != nil || err == nil {
			t.Errorf("%+v was started", c.d)
		}
	}
	for _, d := range []api.CheckDefinition{
		{TTL: second}, {HTTP: "u", Interval: second}, {ScriptArgs: []string{"a"}, Interval: second}, {AliasService: "s"}, {AliasNode: "n"},
		{TTL: second, FailuresBeforeWarning: 2, FailuresBeforeCritical: 2, OutputMaxSize: 1},
	} {
		if err := (check.Config{Scripts: true}).Validate(d); err != nil {
			t.Errorf("%+v: %v", d, err)
		}
	}
}

func TestChecksLookForTheFirstTimeSomewhereInTheirInterval(t *testing.T) {
	inWorld(t, func(w *world) {
		const interval, count = time.Minute, 40
		w.commands(exits(0, ""))
		for i := range count {
			k := w.start(api.CheckDefinition{CheckID: strconv.Itoa(i), ScriptArgs: []string{"x"}, Interval: interval})
			defer k.Stop()
		}
		first, thirds := map[string]time.Duration{}, [3]int{}
		for len(first) < count {
			r := <-w.heard
			if r.at >= interval {
				w.Fatalf("after %v check %s has not run: %d have", r.at, r.id, len(first))
			}
			first[r.id] = r.at
			thirds[r.at*3/interval]++
		}
		for i, n := range thirds {
			if n == 0 {
				w.Errorf("none of %d checks ran first in part %d of the interval: %v", count, i, thirds)
			}
		}
	})
}

func TestTheIntervalBeginsWhenALookEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		running := 0
		w.commands(func(context.Context, host.Command) (int, error) {
			if running++; running > 1 {
				w.Error("two at once")
			}
			time.Sleep(7 * time.Second)
			running--
			return 0, nil
		})
		k := w.start(api.CheckDefinition{ScriptArgs: []string{"x"}, Interval: 2 * time.Second})
		last := (<-w.heard).at
		for range 5 {
			at := (<-w.heard).at
			if at-last != 9*time.Second {
				w.Errorf("%v between two ends", at-last)
			}
			last = at
		}
		w.promptly(k)
	})
}

func TestNoCheckRunsMoreOftenThanOnceASecond(t *testing.T) {
	inWorld(t, func(w *world) {
		w.commands(exits(0, ""))
		k := w.start(api.CheckDefinition{ScriptArgs: []string{"x"}, Interval: time.Millisecond})
		last := (<-w.heard).at
		for range 3 {
			at := (<-w.heard).at
			if at-last != time.Second {
				w.Errorf("%v between two looks", at-last)
			}
			last = at
		}
		w.promptly(k)
	})
}

func TestAFewFailuresDoNotChangeAStatus(t *testing.T) {
	inWorld(t, func(w *world) {
		statuses := []int{0, 2, 2, 2, 0, 2, 0, 0, 0}
		want := []string{"passing", "", "warning", "critical", "", "", "", "passing", "passing"}
		w.commands(func(context.Context, host.Command) (int, error) {
			next := statuses[0]
			statuses = statuses[1:]
			return next, nil
		})
		k := w.start(api.CheckDefinition{
			ScriptArgs: []string{"x"}, Interval: 10 * time.Second,
			SuccessBeforePassing: 2, FailuresBeforeWarning: 2, FailuresBeforeCritical: 3,
		})
		var told []string
		for range len(want) {
			time.Sleep(10 * time.Second)
			select {
			case r := <-w.heard:
				told = append(told, r.status)
			default:
				told = append(told, "")
			}
		}
		w.promptly(k)
		if !slices.Equal(told, want) {
			w.Errorf("told %q, want %q", told, want)
		}
	})
}

func TestACheckThatHasNotRunStopsAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, d := range []api.CheckDefinition{
			{HTTP: "http://10.0.0.2", Interval: time.Hour}, {TCP: "10.0.0.2:80", Interval: time.Hour}, {TTL: time.Hour},
		} {
			k := w.start(d)
			w.promptly(k)
			w.promptly(k) // once more harms nobody
		}
	})
}

func TestOfSeveralKindsThereIsOne(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(":80", func(http.ResponseWriter, *http.Request) {})
		r := w.first(api.CheckDefinition{HTTP: "http://10.0.0.2", TCP: "10.0.0.2:80", ScriptArgs: []string{"x"}})
		w.want(r, "passing", "HTTP GET http://10.0.0.2: 200 OK Output: ")
		r = w.first(api.CheckDefinition{TCP: "10.0.0.2:80", ScriptArgs: []string{"x"}})
		w.want(r, "passing", "TCP connect 10.0.0.2:80: Success")
		r = w.first(api.CheckDefinition{UDP: "10.0.0.2:53", GRPC: "10.0.0.2:80", H2PING: "10.0.0.2:80"})
		w.want(r, "critical", "dial udp 10.0.0.2:53: connection refused")
	})
}
