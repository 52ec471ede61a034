package api

// The requests that an agent sends to a server, by name, with the types of
// request and answer.
const (
	MethodRegister              = "Catalog.Register"           // RegisterRequest, WriteResponse
	MethodDeregister            = "Catalog.Deregister"         // DeregisterRequest, WriteResponse
	MethodNodes                 = "Catalog.Nodes"              // CatalogRequest, List[Node]
	MethodServices              = "Catalog.Services"           // CatalogRequest, ServicesResponse
	MethodServiceNodes          = "Catalog.ServiceNodes"       // CatalogRequest, List[CatalogService]
	MethodNodeServices          = "Catalog.NodeServices"       // CatalogRequest, NodeServicesResponse
	MethodNodeChecks            = "Health.NodeChecks"          // CatalogRequest, List[HealthCheck]
	MethodServiceChecks         = "Health.ServiceChecks"       // CatalogRequest, List[HealthCheck]
	MethodChecksInState         = "Health.ChecksInState"       // CatalogRequest, List[HealthCheck]
	MethodHealthOfService       = "Health.ServiceNodes"        // CatalogRequest, List[CheckServiceNode]
	MethodSessionApply          = "Session.Apply"              // SessionApplyRequest, SessionApplyResponse
	MethodSessionRead           = "Session.Read"               // SessionRequest, List[Session]
	MethodSessionRenew          = "Session.Renew"              // SessionRequest, List[Session]
	MethodKVGet                 = "KV.Get"                     // KVRequest, KVResponse
	MethodKVKeys                = "KV.Keys"                    // KVKeysRequest, KVKeysResponse
	MethodKVApply               = "KV.Apply"                   // KVApplyRequest, KVApplyResponse
	MethodTxnApply              = "Txn.Apply"                  // TxnRequest, TxnResponse
	MethodTxnRead               = "Txn.Read"                   // TxnReadRequest, TxnReadResponse
	MethodCoordinateUpdate      = "Coordinate.Update"          // CoordinateUpdate, WriteResponse
	MethodCoordinateNodes       = "Coordinate.ListNodes"       // CoordinateRequest, List[NodeCoordinate]
	MethodCoordinateNode        = "Coordinate.Node"            // CoordinateRequest, List[NodeCoordinate]
	MethodCoordinateDatacenters = "Coordinate.ListDatacenters" // QueryOptions, []DatacenterCoordinates
	MethodQueryApply            = "PreparedQuery.Apply"        // QueryApplyRequest, QueryApplyResponse
	MethodQueryRead             = "PreparedQuery.Read"         // QueryRequest, List[PreparedQuery]
	MethodQueryExecute          = "PreparedQuery.Execute"      // QueryExecuteRequest, QueryExecuteResponse
	MethodQueryExplain          = "PreparedQuery.Explain"      // QueryExecuteRequest, QueryExplainResponse
	MethodRaftLeader            = "Status.Leader"              // QueryOptions, string
	MethodRaftPeers             = "Status.Peers"               // QueryOptions, []string
)
