package api

// NodeCoordinate is the coordinate of a node (Consul API: Coordinates).
type NodeCoordinate struct {
	Node    string
	Segment string // of the gossip pool; there is one, with an empty name
	Coord   *Coordinate
}

// CoordinateUpdate says where a node is now.
type CoordinateUpdate struct {
	NodeCoordinate
	WriteOptions
}

// CoordinateBatch says where nodes are now.
type CoordinateBatch struct {
	Updates []NodeCoordinate
}

// CoordinateRequest reads the coordinates of a node, or of all.
type CoordinateRequest struct {
	Node string
	QueryOptions
}

// WANArea is the ID of the area in which the servers of all datacenters are.
const WANArea = "wan"

// DatacenterCoordinates are the coordinates of the servers of a datacenter.
// Distances make sense only between coordinates of one area.
type DatacenterCoordinates struct {
	Datacenter  string
	AreaID      string
	Coordinates []NodeCoordinate
}
