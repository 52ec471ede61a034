package api

import "time"

// ServiceDefinition is a service as a person defines it, in a file or by
// /v1/agent/service/register (Consul documentation: Define Services).
type ServiceDefinition struct {
	ID                string // default: the name
	Name              string
	Tags              []string
	Address           string
	TaggedAddresses   map[string]ServiceAddress
	Meta              map[string]string
	Port              int
	Weights           *Weights // default: 1 and 1
	EnableTagOverride bool
	Check             *CheckDefinition
	Checks            []CheckDefinition
	Token             string
}

// CheckDefinition is a check as a person defines it (Consul documentation: Define
// Health Checks). Which of the fields ScriptArgs, HTTP, H2PING, TCP, UDP, GRPC,
// OSService, TTL, AliasNode and AliasService is set says what kind it is.
type CheckDefinition struct {
	CheckID   string
	Name      string
	Notes     string
	ServiceID string
	Status    string // before the check has run; default: critical
	Token     string

	ScriptArgs       []string
	HTTP             string // URL
	Header           map[string][]string
	Method           string // default: GET
	Body             string
	H2PING           string // HOST:PORT
	H2PingUseTLS     *bool  // default: true
	TCP              string // HOST:PORT
	TCPUseTLS        bool
	UDP              string // HOST:PORT
	GRPC             string // HOST:PORT, or HOST:PORT/SERVICE
	GRPCUseTLS       bool
	OSService        string
	AliasNode        string
	AliasService     string
	TTL              time.Duration
	Interval         time.Duration
	Timeout          time.Duration
	TLSServerName    string
	TLSSkipVerify    bool
	DisableRedirects bool // an answer that redirects is the answer
	OutputMaxSize    int  // bytes; default and most: 4096

	SuccessBeforePassing   int // successes in a row that it takes
	FailuresBeforeWarning  int // default: FailuresBeforeCritical
	FailuresBeforeCritical int

	// DeregisterCriticalServiceAfter, when not zero, is how long the check may be
	// critical until its service is deregistered; at least a minute.
	DeregisterCriticalServiceAfter time.Duration
}

// AgentService is a service as the agent that registered it shows it
// (/v1/agent/services).
type AgentService struct {
	Kind              string `json:",omitempty"`
	ID                string
	Service           string
	Tags              []string
	Meta              map[string]string
	Port              int
	Address           string
	TaggedAddresses   map[string]ServiceAddress `json:",omitempty"`
	Weights           Weights
	EnableTagOverride bool
	ContentHash       string `json:",omitempty"`
	Datacenter        string `json:",omitempty"`
}

// AgentServiceHealth is how a service of an agent does: the worst of its own
// checks and those of the node (/v1/agent/health/service).
type AgentServiceHealth struct {
	AggregatedStatus string // passing, warning, critical or maintenance
	Service          AgentService
	Checks           []HealthCheck
}
