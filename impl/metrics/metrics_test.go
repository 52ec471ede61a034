package metrics_test

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tribune/impl/metrics"
)

func text(t *testing.T, r *metrics.Registry) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFiguresAreShownSortedInBothForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := metrics.New()
		level := 7.0
		r.Gauge("z.level", "how high", metrics.Labels{"datacenter": "dc1"}, func() float64 { return level })
		joined := r.Counter("join", "who came", metrics.Labels{"network": "wan"})
		r.Counter("join", "who came", metrics.Labels{"network": "lan"})
		took := r.TimesBy("api.http", "how long", "method")
		joined.Inc()
		joined.Inc()
		took("PUT").Took(3 * time.Millisecond)
		took("PUT").Took(7 * time.Millisecond)
		took("GET").Took(time.Hour)
		level = 8
		time.Sleep(10 * time.Second)

		s, err := r.Summary()
		if err != nil {
			t.Fatal(err)
		}
		hour := float64(time.Hour / time.Millisecond)
		want := metrics.Summary{
			Timestamp: "2000-01-01 00:00:10 +0000 UTC",
			Gauges:    []metrics.Gauge{{"consul.z.level", 8, map[string]string{"datacenter": "dc1"}}},
			Points:    []struct{}{},
			Counters: []metrics.Sample{
				{Name: "consul.join", Labels: map[string]string{"network": "lan"}},
				{Name: "consul.join", Count: 2, Rate: 0.2, Sum: 2, Min: 1, Max: 1, Mean: 1, Labels: map[string]string{"network": "wan"}},
			},
			Samples: []metrics.Sample{
				{Name: "consul.api.http", Count: 1, Rate: hour / 10, Sum: hour, Min: 600000, Max: 600000, Mean: hour, Stddev: hour - 600000, Labels: map[string]string{"method": "GET"}},
				{Name: "consul.api.http", Count: 2, Rate: 1, Sum: 10, Min: 2.5, Max: 10, Mean: 5, Stddev: math.Sqrt((1.25*1.25 + 2.5*2.5) / 2), Labels: map[string]string{"method": "PUT"}},
			},
		}
		if d := cmp.Diff(want, s); d != "" {
			t.Error(d)
		}
		for _, line := range []string{
			"# HELP consul_api_http how long\n# TYPE consul_api_http histogram\nconsul_api_http_bucket{method=\"GET\",le=\"0.25\"} 0\n",
			"consul_api_http_bucket{method=\"PUT\",le=\"5\"} 1\nconsul_api_http_bucket{method=\"PUT\",le=\"10\"} 2\n",
			"consul_api_http_sum{method=\"PUT\"} 10\nconsul_api_http_count{method=\"PUT\"} 2\n",
			"consul_join{network=\"lan\"} 0\nconsul_join{network=\"wan\"} 2\n",
			"consul_z_level{datacenter=\"dc1\"} 8\n",
		} {
			if got := text(t, r); !strings.Contains(got, line) {
				t.Errorf("%s\nis not in\n%s", line, got)
			}
		}
	})
}

func TestWhatNeverHappenedIsANumber(t *testing.T) {
	r := metrics.New()
	r.Times("idle", "nothing does this")
	r.Counter("never", "nor this", nil)
	s, err := r.Summary()
	if err != nil || len(s.Samples) != 1 || len(s.Counters) != 1 || s.Samples[0].Mean != 0 || s.Counters[0].Mean != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if got := text(t, r); strings.Contains(got, "NaN") || !strings.Contains(got, "consul_idle_count 0\n") {
		t.Error(got)
	}
}

func TestRegistriesShareNothing(t *testing.T) {
	one, other := metrics.New(), metrics.New()
	one.Process("1.2.3")
	other.Process("4.5.6")
	if got := text(t, other); !strings.Contains(got, `consul_version{pre_release="",version="4.5.6"} 1`) || strings.Contains(got, "1.2.3") {
		t.Error(got)
	}
	for _, g := range must(t, one).Gauges {
		if !strings.HasPrefix(g.Name, "consul.runtime.total_gc_") && g.Value <= 0 && g.Name != "consul.runtime.free_count" {
			t.Errorf("%s is %v", g.Name, g.Value)
		}
	}
}

func must(t *testing.T, r *metrics.Registry) metrics.Summary {
	t.Helper()
	s, err := r.Summary()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheSameMetricTwiceIsAMistake(t *testing.T) {
	r := metrics.New()
	r.Counter("a", "a", nil)
	defer func() {
		if recover() == nil {
			t.Error("it was taken")
		}
	}()
	r.Counter("a", "a", nil)
}
