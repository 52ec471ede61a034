package metrics

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/prometheus/common/expfmt"

	dto "github.com/prometheus/client_model/go"
)

// TextType is the Content-Type of what WriteText writes.
const TextType = "text/plain; version=0.0.4; charset=utf-8"

// WriteText writes all figures for Prometheus, sorted by name and labels
// (Prometheus documentation: Exposition formats).
func (r *Registry) WriteText(w io.Writer) error {
	families, err := r.registry.Gather()
	if err != nil {
		return fmt.Errorf("gathering the metrics: %w", err)
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return fmt.Errorf("writing the metrics: %w", err)
		}
	}
	return nil
}

// Summary is all figures in the form of Consul's JSON (Consul API: Agent, View
// Metrics). Consul tells of the last ten seconds; this is from the agent's start
// on.
type Summary struct {
	Timestamp string
	Gauges    []Gauge
	Points    []struct{} // Consul's API has them; there are none
	Counters  []Sample
	Samples   []Sample
}

// Gauge is a value.
type Gauge struct {
	Name   string
	Value  float64
	Labels map[string]string
}

// Sample is a count of events or of times, in milliseconds. Of times, Min, Max and
// Stddev are what the histogram's buckets tell: Min and Max the bounds within which
// all of them are.
type Sample struct {
	Name   string
	Count  int64
	Rate   float64 // Sum per second
	Sum    float64
	Min    float64
	Max    float64
	Mean   float64
	Stddev float64
	Labels map[string]string
}

// Summary returns all figures, sorted by name and labels.
func (r *Registry) Summary() (Summary, error) {
	now := time.Now()
	s := Summary{
		Timestamp: now.UTC().Truncate(time.Second).String(),
		Gauges:    []Gauge{}, Points: []struct{}{}, Counters: []Sample{}, Samples: []Sample{},
	}
	families, err := r.registry.Gather()
	if err != nil {
		return s, fmt.Errorf("gathering the metrics: %w", err)
	}
	seconds := max(now.Sub(r.began).Seconds(), 1)
	for _, f := range families {
		r.mu.Lock()
		name := r.definitions[f.GetName()].Name
		r.mu.Unlock()
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			switch {
			case m.Gauge != nil:
				s.Gauges = append(s.Gauges, Gauge{name, m.Gauge.GetValue(), labels})
			case m.Counter != nil:
				s.Counters = append(s.Counters, counted(m.Counter.GetValue()).finished(name, labels, seconds))
			case m.Histogram != nil:
				s.Samples = append(s.Samples, sampled(m.Histogram).finished(name, labels, seconds))
			}
		}
	}
	return s, nil
}

func (s Sample) finished(name string, labels map[string]string, seconds float64) Sample {
	s.Name, s.Labels, s.Rate = name, labels, s.Sum/seconds
	return s
}

// counted is a counter, as if each event had the value 1.
func counted(n float64) Sample {
	s := Sample{Count: int64(n), Sum: n}
	if n > 0 {
		s.Min, s.Max, s.Mean = 1, 1, 1
	}
	return s
}

func sampled(h *dto.Histogram) Sample {
	s := Sample{Count: int64(h.GetSampleCount()), Sum: h.GetSampleSum()}
	if s.Count == 0 {
		return s
	}
	s.Mean = s.Sum / float64(s.Count)
	s.Min = math.Inf(1)
	var below, lower, spread float64
	add := func(cumulated, upper float64) {
		if n := cumulated - below; n > 0 {
			s.Min, s.Max = min(s.Min, lower), upper
			middle := (lower + upper) / 2
			spread += n * (middle - s.Mean) * (middle - s.Mean)
		}
		below, lower = cumulated, upper
	}
	for _, b := range h.GetBucket() {
		add(float64(b.GetCumulativeCount()), b.GetUpperBound())
	}
	add(float64(s.Count), lower) // beyond the last bound, which is all that is known
	s.Stddev = math.Sqrt(spread / float64(s.Count))
	return s
}
