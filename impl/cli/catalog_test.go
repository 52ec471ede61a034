package cli_test

import "testing"

func TestTheCatalogIsListed(t *testing.T) {
	const (
		nodes = `200 [
{"ID":"6f2b5d0e-1111-2222-3333-444455556666","Node":"s1","Address":"10.0.0.1","Datacenter":"dc1","TaggedAddresses":{"wan":"192.0.2.1","lan":"10.0.0.1"},"Meta":{"rack":"r1"}},
{"ID":"","Node":"a-node-with-a-long-name","Address":"10.0.0.20","Datacenter":"dc1"}]`
		instances = `200 [
{"ID":"6f2b5d0e-1111-2222-3333-444455556666","Node":"s1","Address":"10.0.0.1","Datacenter":"dc1","ServiceID":"web-1"},
{"ID":"6f2b5d0e-1111-2222-3333-444455556666","Node":"s1","Address":"10.0.0.1","Datacenter":"dc1","ServiceID":"web-2"}]`
		services = `200 {"web":["v2","v1"],"consul":[],"a-long-service":["x"]}`
		node     = `200 {"Node":{"Node":"s1"},"Services":{"web-1":{"ID":"web-1","Service":"web","Tags":["v1"]},"web-2":{"ID":"web-2","Service":"web","Tags":["v2","v1"]}}}`
	)
	checkAll(t, []use{
		{line: "catalog datacenters", answers: []string{`200 ["dc1","dc2"]`}, asked: []string{"GET /v1/catalog/datacenters"}, stdout: "dc1\ndc2\n"},
		{line: "catalog datacenters x", status: 1, stderr: "Error! Too many arguments (expected 0, got 1)\n"},
		{line: "catalog nodes", answers: []string{nodes}, asked: []string{"GET /v1/catalog/nodes"}, stdout: "@catalog-nodes.txt"},
		{line: "catalog nodes -detailed", answers: []string{nodes}, asked: []string{"GET /v1/catalog/nodes"}, stdout: "@catalog-nodes-detailed.txt"},
		{line: "catalog nodes -node-meta=rack=r1 -near=_agent -filter=Node==s1 -stale", answers: []string{nodes},
			asked: []string{"GET /v1/catalog/nodes?filter=Node%3D%3Ds1&near=_agent&node-meta=rack%3Ar1&stale="}, stdout: "@catalog-nodes.txt"},
		{line: "catalog nodes -filter -", stdin: "Node == s1", answers: []string{nodes}, asked: []string{"GET /v1/catalog/nodes?filter=Node+%3D%3D+s1"}, stdout: "@catalog-nodes.txt"},
		{line: "catalog nodes -filter @testdata/token", answers: []string{nodes}, asked: []string{"GET /v1/catalog/nodes?filter=from-a-file%0A"}, stdout: "@catalog-nodes.txt"},
		{line: "catalog nodes -filter @testdata/none", status: 1, stderr: "Error! Could not process filter argument: failed to read file: "},
		{line: "catalog nodes -service=web", answers: []string{instances}, asked: []string{"GET /v1/catalog/service/web"}, stdout: "@catalog-nodes-service.txt"},
		{line: "catalog nodes", answers: []string{"200 []"}, asked: []string{"GET /v1/catalog/nodes"}, stderr: "No nodes match the given query - try expanding your search.\n"},
		{line: "catalog nodes -node-meta=rack", status: 1, stderr: `"rack" is not KEY=VALUE`},
		{line: "catalog nodes", answers: []string{"500 No cluster leader"}, asked: []string{"GET /v1/catalog/nodes"}, status: 1, stderr: "Error! Listing nodes: "},
		{line: "catalog services", answers: []string{services}, asked: []string{"GET /v1/catalog/services"}, stdout: "a-long-service\nconsul\nweb\n"},
		{line: "catalog services -tags", answers: []string{services}, asked: []string{"GET /v1/catalog/services"}, stdout: "@catalog-services-tags.txt"},
		{line: "catalog services -node=s1 -tags", answers: []string{node}, asked: []string{"GET /v1/catalog/node/s1"}, stdout: "web      v1,v2\n"},
		{line: "catalog services -node=none", answers: []string{"200 null"}, asked: []string{"GET /v1/catalog/node/none"}, stderr: "No services match the given query - try expanding your search.\n"},
	})
}
