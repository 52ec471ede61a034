package check_test

import (
	"strings"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
)

func TestATTLCheckIsWhatItIsToldUntilItRunsOut(t *testing.T) {
	inWorld(t, func(w *world) {
		const ttl = 10 * time.Second
		k := w.start(api.CheckDefinition{TTL: ttl})
		r := <-w.heard
		w.want(r, api.HealthCritical, "TTL expired")
		if r.at != ttl {
			t.Errorf("after %v", r.at)
		}
		time.Sleep(time.Hour)
		w.silent() // once is enough
		for _, status := range []string{api.HealthPassing, api.HealthWarning, api.HealthCritical} {
			if _, err := k.Touch(status, "I am "+status); err != nil {
				t.Error(err)
			}
			w.want(<-w.heard, status, "I am "+status)
			time.Sleep(ttl - 1)
			w.silent()
		}
		if _, err := k.Touch(api.HealthPassing, "well"); err != nil {
			t.Error(err)
		}
		told := <-w.heard
		if r = <-w.heard; r.at-told.at != ttl {
			t.Errorf("after %v", r.at-told.at)
		}
		w.want(r, api.HealthCritical, "TTL expired (last output before timeout follows): well")
		w.promptly(k)
		time.Sleep(time.Hour)
		w.silent()
	})
}

// Whichever comes first, it is touched or it runs out: who was told last counts.
func TestACheckThatIsTouchedWhenItRunsOutIsAsItWasTold(t *testing.T) {
	inWorld(t, func(w *world) {
		k := w.start(api.CheckDefinition{TTL: time.Second})
		for range 100 {
			time.Sleep(time.Second)
			if _, err := k.Touch(api.HealthPassing, "well"); err != nil {
				t.Error(err)
			}
			var last report
			for last.status != api.HealthPassing {
				last = <-w.heard
			}
			w.silent()
		}
		w.promptly(k)
	})
}

func TestTheBeginningOfALongTTLOutputIsKept(t *testing.T) {
	inWorld(t, func(w *world) {
		k := w.start(api.CheckDefinition{TTL: time.Minute, OutputMaxSize: 10})
		for output, want := range map[string]string{
			"ten bytes!":          "ten bytes!",
			"ten bytes! and more": "ten bytes! ... (captured 10 of 19 bytes)",
		} {
			if _, err := k.Touch(api.HealthPassing, output); err != nil {
				t.Error(err)
			}
			w.want(<-w.heard, api.HealthPassing, want)
		}
		w.promptly(k)
		k = w.start(api.CheckDefinition{TTL: time.Minute})
		if _, err := k.Touch(api.HealthPassing, strings.Repeat("x", 4097)); err != nil {
			t.Error(err)
		}
		w.want(<-w.heard, api.HealthPassing, strings.Repeat("x", 4096)+" ... (captured 4096 of 4097 bytes)")
		w.promptly(k)
	})
}

func TestWhatCannotBeTouchedSaysSo(t *testing.T) {
	inWorld(t, func(w *world) {
		k := w.start(api.CheckDefinition{TTL: time.Minute})
		if _, err := k.Touch("fine", ""); err == nil || err.Error() != "Invalid check status: 'fine'" || fault.Of(err) != fault.Invalid {
			t.Errorf("no such status: %v", err)
		}
		k.Stop()
		if _, err := k.Touch(api.HealthPassing, ""); fault.Of(err) != fault.NotFound {
			t.Errorf("it was stopped: %v", err)
		}
		k = w.start(api.CheckDefinition{CheckID: "web", TCP: "10.0.0.2:80", Interval: time.Minute})
		if _, err := k.Touch(api.HealthPassing, ""); err == nil || err.Error() != `CheckID "web" does not have associated TTL` {
			t.Errorf("it looks for itself: %v", err)
		}
		w.promptly(k)
	})
}
