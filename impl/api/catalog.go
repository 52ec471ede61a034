package api

// Node is a node of the catalog (Consul API: Catalog).
type Node struct {
	ID              string
	Node            string
	Address         string
	Datacenter      string
	TaggedAddresses map[string]string
	Meta            map[string]string
	RaftIndex
}

// ServiceAddress is an address of a service that has several.
type ServiceAddress struct {
	Address string
	Port    int
}

// Weights say how much of the load an instance gets, by its health.
type Weights struct {
	Passing int
	Warning int
}

// NodeService is an instance of a service on its node. Its Kind is that of one in a
// service mesh: there is none, but filters ask for those that have none.
type NodeService struct {
	Kind              string `codec:"-" json:",omitempty"`
	ID                string
	Service           string
	Tags              []string
	Address           string
	TaggedAddresses   map[string]ServiceAddress
	Meta              map[string]string
	Port              int
	Weights           Weights
	EnableTagOverride bool
	RaftIndex
}

// AnyAddress reports whether an address stands for all of a machine's. Who listens
// may have it, but nobody can be reached there.
func AnyAddress(address string) bool {
	return address == "0.0.0.0" || address == "::" || address == "[::]"
}

// The states of a health check.
const (
	HealthAny      = "any"
	HealthPassing  = "passing"
	HealthWarning  = "warning"
	HealthCritical = "critical"

	HealthMaintenance = "maintenance" // of a service that is out of use by hand
)

// The check that the leader keeps for every member of the gossip pool.
const (
	SerfCheckID        = "serfHealth"
	SerfCheckName      = "Serf Health Status"
	SerfAliveOutput    = "Agent alive and reachable"
	SerfFailedOutput   = "Agent not live or unreachable"
	ServerServiceName  = "consul"
	NodeMaintenanceID  = "_node_maintenance"
	ServiceMaintenance = "_service_maintenance:"
)

// HealthCheck is a check of a node, or of one of its services if ServiceID is
// set.
type HealthCheck struct {
	Node        string
	CheckID     string
	Name        string
	Status      string
	Notes       string
	Output      string
	ServiceID   string
	ServiceName string
	ServiceTags []string
	Type        string
	Interval    string
	Timeout     string
	Definition  HealthCheckDefinition `bexpr:"-"`
	Spell       Spell                 `bexpr:"-" codec:"Spell" json:"-"`
	RaftIndex
}

// RegisterRequest registers a node, and with it a service and checks. What it
// leaves out stays as it is.
type RegisterRequest struct {
	ID              string
	Node            string
	Address         string
	TaggedAddresses map[string]string
	NodeMeta        map[string]string
	Service         *NodeService
	Check           *HealthCheck
	Checks          []HealthCheck
	SkipNodeUpdate  bool // an existing node keeps its own fields
	// KeepMeta has an existing node keep its tagged addresses and its metadata,
	// which the leader does not know that registers a member.
	KeepMeta bool `codec:"KeepMeta" json:"-"`
	WriteOptions
}

// DeregisterRequest removes a service with its checks, or a check, or a node
// with all it has: the first of ServiceID, CheckID and Node that says which.
type DeregisterRequest struct {
	Node      string
	ServiceID string
	CheckID   string
	WriteOptions
}

// WriteResponse answers a write that has nothing to say.
type WriteResponse struct {
	Index uint64 // raft index of the write
}

// CatalogService is an instance of a service together with its node.
type CatalogService struct {
	ID                       string
	Node                     string
	Address                  string
	Datacenter               string
	TaggedAddresses          map[string]string
	NodeMeta                 map[string]string
	ServiceKind              string `codec:"-" json:",omitempty"` // as in NodeService
	ServiceID                string
	ServiceName              string
	ServiceTags              []string
	ServiceAddress           string
	ServiceTaggedAddresses   map[string]ServiceAddress
	ServiceWeights           Weights
	ServiceMeta              map[string]string
	ServicePort              int
	ServiceEnableTagOverride bool
	RaftIndex
}

// CheckServiceNode is an instance of a service with its node and all checks that
// concern it (Consul API: Health).
type CheckServiceNode struct {
	Node    *Node
	Service *NodeService
	Checks  []HealthCheck
}

// CatalogRequest reads from the catalog. What a read does not need is empty.
type CatalogRequest struct {
	Node     string
	Service  string
	State    string            // of a check
	Tags     []string          // an instance must have all of them
	NodeMeta map[string]string // a node must have all of it
	Passing  bool              // all checks of an instance must pass
	// Effective has checks on a node whose agent does not live be critical,
	// whatever they said last.
	Effective bool
	Source    Source // what is near to it comes first
	QueryOptions
}

// Names of nodes that Source.Node may have beside real ones.
const (
	NearAgent = "_agent" // the agent that was asked
	NearIP    = "_ip"    // the node whose address is Source.IP
)

// Source is whom an answer is for: the nearest by round trip time come first
// (Consul API: Catalog, ?near).
type Source struct {
	Node string // empty: in whatever order
	IP   string // of the client, empty if unknown
}

// List is the answer to a read that finds any number.
type List[Item any] struct {
	Items []Item
	QueryMeta
}

// ServicesResponse has the tags of each service by its name.
type ServicesResponse struct {
	Services map[string][]string
	QueryMeta
}

// NodeServicesResponse has a node and its services, Node nil if there is none.
type NodeServicesResponse struct {
	Node     *Node
	Services []NodeService
	QueryMeta
}
