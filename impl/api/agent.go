package api

import "time"

// Member is a node of a gossip pool as /v1/agent/members shows it.
type Member struct {
	Name        string
	Addr        string
	Port        uint16
	Tags        map[string]string
	Status      int // serf's: 0 none, 1 alive, 2 leaving, 3 left, 4 failed
	ProtocolMin uint8
	ProtocolMax uint8
	ProtocolCur uint8
	DelegateMin uint8
	DelegateMax uint8
	DelegateCur uint8
}

// AgentSelf is what an agent says about itself (/v1/agent/self).
type AgentSelf struct {
	Config      AgentConfig
	DebugConfig map[string]any
	Coord       *Coordinate // in the gossip pool; null while none is kept
	Member      Member
	Stats       map[string]map[string]string
	Meta        map[string]string
}

// Coordinate is where an agent lies in a space in which distance is round trip
// time (Consul API: Network Coordinates; Vivaldi with height).
type Coordinate struct {
	Vec        []float64 // seconds
	Error      float64   // confidence, without unit
	Adjustment float64   // seconds
	Height     float64   // seconds
}

// AgentConfig is the part of an agent's configuration that others rely on.
type AgentConfig struct {
	Datacenter        string
	PrimaryDatacenter string
	NodeName          string
	NodeID            string
	Revision          string
	Server            bool
	Version           string
	BuildDate         string
	// SessionTTLMin is the least TTL of a session. Consul does not say it here any
	// more; Patroni looks for it.
	SessionTTLMin time.Duration
}

// AgentHost is the machine that an agent runs on (/v1/agent/host).
type AgentHost struct {
	Memory *HostMemory
	CPU    []HostCPU
	Host   *HostInfo
	// CollectionTime is when, in nanoseconds since 1970.
	CollectionTime int64
	Errors         []string
}

// HostMemory is the memory of a machine, in bytes.
type HostMemory struct {
	Total       uint64  `json:"total"`
	Available   uint64  `json:"available"`
	Used        uint64  `json:"used"`
	UsedPercent float64 `json:"usedPercent"`
	Free        uint64  `json:"free"`
}

// HostCPU is a processor of a machine.
type HostCPU struct {
	CPU       int32   `json:"cpu"`
	VendorID  string  `json:"vendorId"`
	ModelName string  `json:"modelName"`
	MHz       float64 `json:"mhz"`
}

// HostInfo names a machine.
type HostInfo struct {
	Hostname      string `json:"hostname"`
	Uptime        uint64 `json:"uptime"` // seconds
	OS            string `json:"os"`
	KernelVersion string `json:"kernelVersion"`
	KernelArch    string `json:"kernelArch"`
}
