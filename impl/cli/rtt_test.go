package cli_test

import "testing"

func TestRTTEstimatesFromCoordinates(t *testing.T) {
	const (
		nodes = `200 [
{"Node":"a","Segment":"","Coord":{"Vec":[0.001,0],"Height":0.0001}},
{"Node":"B","Segment":"","Coord":{"Vec":[0.0015,0],"Height":0.00001}},
{"Node":"other","Segment":"s","Coord":{"Vec":[0,0]}}]`
		servers = `200 [
{"Datacenter":"dc1","AreaID":"wan","Coordinates":[{"Node":"s1","Coord":{"Vec":[0.1],"Height":0}}]},
{"Datacenter":"dc2","AreaID":"wan","Coordinates":[{"Node":"s1","Coord":{"Vec":[0.2],"Height":0}}]},
{"Datacenter":"dc2","AreaID":"x","Coordinates":[{"Node":"s9","Coord":{"Vec":[0.2],"Height":0}}]}]`
		self = `200 {"Config":{"NodeName":"a","Datacenter":"dc1"}}`
		none = `200 []`
	)
	lan, wan := []string{"GET /v1/coordinate/nodes"}, []string{"GET /v1/coordinate/datacenters"}
	checkAll(t, []use{
		{line: "rtt a b", answers: []string{nodes}, asked: lan, stdout: "Estimated a <-> b rtt: 0.610 ms (using LAN coordinates)\n"},
		{line: "rtt b", answers: []string{self, nodes}, asked: []string{"GET /v1/agent/self", "GET /v1/coordinate/nodes"}, stdout: "Estimated b <-> a rtt: 0.610 ms (using LAN coordinates)\n"},
		{line: "rtt a c", answers: []string{nodes}, asked: lan, status: 1, stderr: "Error! Could not find a coordinate for node \"c\"\n"},
		{line: "rtt c a", answers: []string{none}, asked: lan, status: 1, stderr: "Error! Could not find a coordinate for node \"c\"\n"},
		{line: "rtt a other", answers: []string{nodes}, asked: lan, status: 1, stderr: "cannot be compared"},
		{line: "rtt", status: 1, stderr: "Error! One or two node names must be specified\n"},
		{line: "rtt a b c", status: 1, stderr: "Error! One or two node names must be specified\n"},
		{line: "rtt a b", answers: []string{"500 broken"}, asked: lan, status: 1, stderr: "Error! Error getting coordinates: "},
		{line: "rtt a", answers: []string{"500 broken"}, asked: []string{"GET /v1/agent/self"}, status: 1, stderr: "Error! Unable to look up agent info: "},
		{line: "rtt -wan s1.dc1 s1.dc2", answers: []string{servers}, asked: wan, stdout: "Estimated s1.dc1 <-> s1.dc2 rtt: 100.000 ms (using WAN coordinates)\n"},
		{line: "rtt -wan s1.dc1 s9.dc2", answers: []string{servers}, asked: wan, status: 1, stderr: "cannot be compared"},
		{line: "rtt -wan s1 s1.dc2", status: 1, stderr: "Error! Node names must be specified as <node name>.<datacenter> with -wan\n"},
	})
}
