package metrics

import (
	"runtime"
	"runtime/debug"
	goruntime "runtime/metrics"
)

// Process adds what is known of the whole process, which may be that of other
// agents too, and the agent's version.
func (r *Registry) Process(version string) {
	one := func() float64 { return 1 }
	r.Gauge("version", "1, with the version of the agent as a label", Labels{"version": version, "pre_release": ""}, one)
	r.Gauge("runtime.num_goroutines", "goroutines of the process", nil, func() float64 { return float64(runtime.NumGoroutine()) })
	for _, g := range []struct{ name, help, from string }{
		{"runtime.alloc_bytes", "bytes of the heap's objects", "/memory/classes/heap/objects:bytes"},
		{"runtime.sys_bytes", "bytes of memory that the process has from the operating system", "/memory/classes/total:bytes"},
		{"runtime.heap_objects", "objects on the heap", "/gc/heap/objects:objects"},
		{"runtime.malloc_count", "objects that were ever allocated on the heap", "/gc/heap/allocs:objects"},
		{"runtime.free_count", "objects that were ever freed on the heap", "/gc/heap/frees:objects"},
		{"runtime.total_gc_runs", "garbage collections", "/gc/cycles/total:gc-cycles"},
	} {
		r.Gauge(g.name, g.help, nil, func() float64 { return read(g.from) })
	}
	r.Gauge("runtime.total_gc_pause_ns", "nanoseconds for which garbage collections stopped the process", nil, func() float64 {
		var s debug.GCStats
		debug.ReadGCStats(&s) // runtime/metrics has a histogram alone
		return float64(s.PauseTotal)
	})
}

// read asks the Go runtime for one of its figures, all of which are counts.
func read(name string) float64 {
	s := []goruntime.Sample{{Name: name}}
	goruntime.Read(s)
	return float64(s[0].Value.Uint64())
}
