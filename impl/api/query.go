package api

// PreparedQuery is a prepared query (Consul API: Prepared Queries).
type PreparedQuery struct {
	ID       string
	Name     string // empty: only the ID finds it; of a template: any beginning
	Session  string // empty, or it ends with this session
	Token    string
	Template QueryTemplate
	Service  ServiceQuery
	DNS      QueryDNS
	RaftIndex
}

// QueryNamePrefix is the Type of a template that stands for all names that begin
// with its own.
const QueryNamePrefix = "name_prefix_match"

// QueryTemplate makes a query a template if its Type is set.
type QueryTemplate struct {
	Type            string
	Regexp          string // on the whole name, for ${match(N)}
	RemoveEmptyTags bool
}

// ServiceQuery says which instances of a service a query finds.
type ServiceQuery struct {
	Service        string
	Failover       QueryFailover
	OnlyPassing    bool     // a warning rules an instance out, too
	IgnoreCheckIDs []string // that rule nothing out
	Near           string   // as Source.Node, unless who asks says otherwise
	Tags           []string // an instance must have all of them, and none that begins with "!"
	NodeMeta       map[string]string
	ServiceMeta    map[string]string
	Connect        bool // only instances in the service mesh
}

// QueryFailover says where else to look when nothing was found. There is no other
// datacenter yet, so it is only kept.
type QueryFailover struct {
	NearestN    int
	Datacenters []string
	Targets     []QueryFailoverTarget `json:",omitempty"`
}

// QueryFailoverTarget is a datacenter or a peer to look in.
type QueryFailoverTarget struct {
	Peer       string `json:",omitempty"`
	Datacenter string `json:",omitempty"`
}

// QueryDNS is for answers over DNS.
type QueryDNS struct {
	TTL string // a duration such as "10s"; empty: as configured
}

// QueryOp names what a query command does.
type QueryOp string

// The query commands.
const (
	QueryCreate QueryOp = "create"
	QueryUpdate QueryOp = "update"
	QueryDelete QueryOp = "delete"
)

// QueryApplyRequest creates a query, or changes or deletes the one with its ID.
type QueryApplyRequest struct {
	Op    QueryOp
	Query PreparedQuery
	WriteOptions
}

// QueryApplyResponse has the ID of the query.
type QueryApplyResponse struct {
	ID string
}

// QueryRequest reads the query with an ID, or all.
type QueryRequest struct {
	ID string
	QueryOptions
}

// QueryExecuteRequest executes a query, or asks what it is for a name.
type QueryExecuteRequest struct {
	QueryIDOrName string
	Limit         int    // most instances; 0: all
	Connect       bool   // as in ServiceQuery
	Source        Source // if empty that of the query
	Agent         string // name of the node of the agent that was asked, for NearAgent
	QueryOptions
}

// QueryResult is what a query finds: the nearest first, else in random order.
type QueryResult struct {
	Service    string
	Nodes      []CheckServiceNode
	DNS        QueryDNS
	Datacenter string // that the instances are in
	Failovers  int    // other datacenters that were asked
}

// QueryExecuteResponse is the answer to an execution.
type QueryExecuteResponse struct {
	QueryResult
	QueryMeta
}

// QueryExplainResponse has the query that a name stands for, a template filled in.
type QueryExplainResponse struct {
	Query PreparedQuery
	QueryMeta
}
