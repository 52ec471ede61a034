// Package metrics keeps the figures of one agent: counters, gauges and the times
// that things take. They are shown in the two forms of /v1/agent/metrics, for
// Prometheus and as JSON (Consul documentation: Agent telemetry, whose names they
// have).
//
// Each agent has a Registry of its own, since many agents run in one process, and
// parts add to it what they have to tell. What was added stays: a gauge is read by
// a function when somebody asks, so it neither ages nor vanishes. Times are
// histograms, whose figures can be added over agents and are numbers even when
// nothing happened; Consul's are summaries. All times are in milliseconds, as
// Consul's.
//
// Nothing here or in the agent touches the registry that Prometheus' library keeps
// for a whole process, nor the one of hashicorp/go-metrics, to which raft, serf and
// memberlist report: unless somebody sets that up, it drops what it gets.
package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Prefix begins all names.
const Prefix = "consul"

// Kind says what a metric measures.
type Kind string

// The kinds.
const (
	KindCounter Kind = "counter"   // only grows
	KindGauge   Kind = "gauge"     // is what it is
	KindTime    Kind = "histogram" // of milliseconds
)

// Definition is what there is to know of a metric.
type Definition struct {
	Name   string // as Consul writes it, such as "consul.api.http"
	Kind   Kind
	Help   string
	Labels []string // names, sorted
}

// Prometheus is the name in Prometheus' form.
func (d Definition) Prometheus() string {
	return strings.NewReplacer(".", "_", "-", "_").Replace(d.Name)
}

// Labels tell apart what goes by one name.
type Labels = prometheus.Labels

// Registry holds the figures of an agent. Adding a metric twice, or by a name that
// is none, is a mistake in the program and panics.
type Registry struct {
	registry *prometheus.Registry
	began    time.Time

	mu          sync.Mutex
	definitions map[string]Definition // by their names for Prometheus
}

// New returns a registry without any figures.
func New() *Registry {
	return &Registry{registry: prometheus.NewRegistry(), began: time.Now(), definitions: map[string]Definition{}}
}

// Definitions lists all metrics by name.
func (r *Registry) Definitions() []Definition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.definitions), func(a, b Definition) int { return cmp.Compare(a.Name, b.Name) })
}

// define remembers a metric; name is without the prefix.
func (r *Registry) define(kind Kind, name, help string, fixed Labels, open []string) Definition {
	d := Definition{Name: Prefix + "." + name, Kind: kind, Help: help, Labels: slices.Sorted(maps.Keys(fixed))}
	d.Labels = append(d.Labels, open...)
	slices.Sort(d.Labels)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.definitions[d.Prometheus()] = d
	return d
}

// Counter counts events.
type Counter interface{ Inc() }

// Counter adds a counter. The same name may be added again with other values of
// its labels, which may be nil; so may a gauge's.
func (r *Registry) Counter(name, help string, labels Labels) Counter {
	d := r.define(KindCounter, name, help, labels, nil)
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: d.Prometheus(), Help: help, ConstLabels: labels})
	r.registry.MustRegister(c)
	return c
}

// Gauge adds a gauge, whose value is read whenever somebody asks.
func (r *Registry) Gauge(name, help string, labels Labels, read func() float64) {
	d := r.define(KindGauge, name, help, labels, nil)
	r.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: d.Prometheus(), Help: help, ConstLabels: labels}, read))
}

// bounds are the upper bounds of the buckets of times, in milliseconds. The last
// two are for blocking queries, which wait for up to ten minutes.
func bounds() []float64 {
	return []float64{0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 60000, 600000}
}

// Times are how long something took.
type Times struct{ observer prometheus.Observer }

// Took adds a duration.
func (t Times) Took(d time.Duration) {
	t.observer.Observe(float64(d) / float64(time.Millisecond))
}

// Times adds a histogram of durations.
func (r *Registry) Times(name, help string) Times {
	return r.TimesBy(name, help)()
}

// TimesBy adds a histogram for each set of values that labels have; what is
// returned finds it.
func (r *Registry) TimesBy(name, help string, labels ...string) func(values ...string) Times {
	d := r.define(KindTime, name, help, nil, labels)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.Prometheus(), Help: help, Buckets: bounds()}, labels)
	r.registry.MustRegister(v)
	return func(values ...string) Times { return Times{v.WithLabelValues(values...)} }
}
