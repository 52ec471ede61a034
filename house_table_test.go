package house

// neighbours lists, for each package of the module, which packages of the
// module it may import. A package that is not listed may not exist; a test may
// in addition import what testNeighbours allows.
var neighbours = map[string]string{
	"impl/fault":         "",
	"impl/api":           "",
	"impl/host":          "",
	"impl/host/hosttest": "impl/host",
	"impl/logging":       "",
	"impl/store":         "",
	"impl/consensus":     "impl/host impl/logging",
	"impl/rpc":           "impl/host impl/fault",
	"impl/metrics":       "",
	"impl/connlimit":     "impl/metrics",
	"impl/cache":         "impl/api impl/fault impl/metrics",
	"impl/gossip":        "impl/host impl/api impl/fault impl/logging impl/metrics",
	"impl/kv":            "impl/api impl/store",
	"impl/catalog":       "impl/api impl/store",
	"impl/session":       "impl/api impl/store",
	"impl/coordinate":    "impl/api impl/store",
	"impl/query":         "impl/api impl/store",
	"impl/fsm":           "impl/api impl/store impl/catalog impl/coordinate impl/kv impl/query impl/session",
	"impl/server":        "impl/api impl/catalog impl/consensus impl/coordinate impl/fault impl/filter impl/fsm impl/gossip impl/host impl/kv impl/metrics impl/query impl/rpc impl/session impl/store",
	"impl/client":        "impl/api impl/fault impl/gossip impl/host impl/metrics impl/rpc",
	"impl/filter":        "impl/fault",
	"impl/definition":    "impl/api impl/fault",
	"impl/local":         "impl/api impl/definition impl/fault impl/host",
	"impl/config":        "impl/api impl/definition impl/dns impl/host impl/logging",
	"impl/httpapi":       "impl/api impl/definition impl/fault impl/filter impl/metrics",
	"impl/agent":         "impl/api impl/cache impl/check impl/client impl/config impl/connlimit impl/dns impl/event impl/fault impl/gossip impl/host impl/httpapi impl/local impl/logging impl/metrics impl/rexec impl/server impl/watch",
	"impl/check":         "impl/api impl/fault impl/host",
	"impl/dns":           "impl/api impl/fault impl/host impl/metrics",
	"impl/cli":           "impl/agent impl/config impl/host impl/logging impl/rexec impl/watch",
	"impl/event":         "impl/api impl/fault",
	"impl/rexec":         "impl/api impl/host",
	"impl/watch":         "impl/host impl/logging",

	"netmodel":        "",
	"linearizability": "",

	"linearizability/spread":     "",
	"linearizability/raftsafety": "",
	"linearizability/versions":   "linearizability linearizability/spread",
	"scenarios/outage":           "linearizability/spread",
	"scenarios/levels":           "sim",

	"sim/event":    "sim/detrt",
	"sim/trace":    "",
	"sim/detrt":    "sim/overlay",
	"sim/overlay":  "",
	"sim/launch":   "sim/detrt sim/overlay",
	"sim/simnet":   "impl/host netmodel sim/detrt sim/event sim/trace",
	"sim/simdisk":  "impl/host netmodel sim/detrt sim/event sim/trace",
	"sim/casefile": "",
	"sim/nemesis":  "netmodel sim sim/casefile sim/detrt sim/shrink sim/simdisk sim/simnet sim/trace",
	"sim/mutants":  "sim/overlay",
	"sim/explore":  "",
	"sim/shrink":   "",
	"sim":          "impl/host netmodel sim/detrt sim/event sim/simdisk sim/simnet sim/trace",

	"scenarios":         "impl/agent impl/api impl/catalog impl/config impl/consensus impl/coordinate impl/fsm impl/gossip impl/host linearizability linearizability/raftsafety linearizability/spread linearizability/versions netmodel scenarios/levels scenarios/look scenarios/outage sim sim/casefile sim/launch sim/mutants sim/nemesis sim/overlay sim/simdisk sim/trace",
	"scenarios/report":  "linearizability scenarios sim/trace",
	"scenarios/look":    "impl/agent impl/api impl/consensus impl/fsm impl/server sim sim/simdisk sim/simnet",
	"scenarios/debug":   "impl/api scenarios scenarios/look scenarios/report sim/launch sim/trace",
	"scenarios/search":  "scenarios sim sim/explore sim/launch sim/nemesis sim/shrink",
	"harness":           "impl/host linearizability netmodel sim sim/casefile sim/explore sim/launch sim/nemesis sim/shrink sim/trace",
	"examples/register": "impl/host",
	"bench":             "scenarios scenarios/look sim sim/launch",
	"bench/agent":       "impl/agent impl/config impl/host",

	"calibrate": "impl/agent impl/config impl/host netmodel sim sim/launch sim/simdisk",

	"interop": "", // it knows the built program and nothing else

	"cmd/tribune": "impl/cli impl/host",
	"cmd/simctl":  "scenarios scenarios/debug scenarios/report scenarios/search sim/explore sim/launch sim/mutants sim/overlay sim/trace linearizability",
}

// testNeighbours adds to neighbours for test files.
var testNeighbours = map[string]string{
	"examples/register": "harness linearizability sim sim/nemesis",

	"impl/consensus":   "impl/host/hosttest",
	"impl/gossip":      "impl/host/hosttest",
	"impl/rpc":         "impl/host/hosttest",
	"impl/server":      "impl/host/hosttest",
	"impl/check":       "impl/host/hosttest",
	"impl/connlimit":   "impl/host impl/host/hosttest",
	"impl/rexec":       "impl/host/hosttest",
	"impl/watch":       "impl/host/hosttest",
	"impl/agent":       "impl/host/hosttest",
	"impl/cli":         "impl/host/hosttest",
	"impl/config":      "impl/host/hosttest",
	"impl/local":       "impl/catalog impl/host/hosttest impl/store",
	"impl/dns":         "impl/host/hosttest",
	"scenarios/report": "sim",
	"sim":              "sim/launch",
	"sim/mutants":      "sim/launch",
	"sim/nemesis":      "impl/host sim/launch",
	"sim/simdisk":      "impl/consensus",
	"scenarios/debug":  "impl/consensus sim sim/nemesis sim/simdisk sim/simnet",
}
