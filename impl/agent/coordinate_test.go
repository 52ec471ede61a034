package agent_test

import (
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/serf/coordinate"
)

// TestTheOfficialClientReadsAndWritesCoordinates waits until the agent has sent
// its own and gives another node one.
func TestTheOfficialClientReadsAndWritesCoordinates(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		c := m.client(a).Coordinate()
		time.Sleep(40 * time.Second) // twice 15 s, and what the server waits for more
		nodes, meta, err := c.Nodes(nil)
		if err != nil || len(nodes) != 1 || nodes[0].Node != "m1" || len(nodes[0].Coord.Vec) != 8 || meta.LastIndex < 2 {
			w.Fatalf("%+v, %+v, %v", nodes, meta, err)
		}
		if self := m.self(a); self.Coord == nil || len(self.Coord.Vec) != 8 {
			w.Errorf("the agent says of itself that it is at %+v", self.Coord)
		}
		if dcs, err := c.Datacenters(); err != nil || len(dcs) != 1 || dcs[0].Datacenter != "dc1" || dcs[0].AreaID != "wan" || len(dcs[0].Coordinates) != 1 || dcs[0].Coordinates[0].Node != "m1" {
			w.Errorf("%+v, %v", dcs, err)
		}
		if _, err := m.client(a).Catalog().Register(&capi.CatalogRegistration{Node: "db1", Address: "192.0.2.7"}, nil); err != nil {
			w.Fatal(err)
		}
		at := coordinate.NewCoordinate(coordinate.DefaultConfig())
		at.Vec[0], at.Height = 0.25, 0.5
		if _, err := c.Update(&capi.CoordinateEntry{Node: "DB1", Coord: at}, nil); err != nil {
			w.Fatal(err)
		}
		if _, err := c.Update(&capi.CoordinateEntry{Node: "nobody", Coord: at}, nil); err != nil {
			w.Fatal(err)
		}
		later, _, err := c.Node("db1", &capi.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Minute})
		if err != nil || len(later) != 1 || later[0].Node != "db1" || later[0].Coord.Vec[0] != 0.25 || later[0].Coord.Height != 0.5 {
			w.Errorf("%+v, %v", later, err)
		}
		if nodes, _, err := c.Nodes(nil); err != nil || len(nodes) != 2 || nodes[0].Node != "db1" {
			w.Errorf("%+v, %v", nodes, err)
		}
	})
}

func TestAnAgentMayKeepToItselfWhereItIs(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		m.file("/etc/a.hcl", "disable_coordinates = true")
		a := m.startFrom("/etc/a.hcl")
		defer w.close(a)
		m.ready(a)
		time.Sleep(40 * time.Second)
		for _, path := range []string{"/v1/coordinate/nodes", "/v1/coordinate/node/n1", "/v1/coordinate/datacenters"} {
			if status, answer, err := m.ask(a, "GET", path, ""); err != nil || status != 401 || answer != "Coordinate support disabled" {
				w.Errorf("%s: %d %q, %v", path, status, answer, err)
			}
		}
		if self := m.self(a); self.Coord != nil {
			w.Errorf("the agent says that it is at %+v", self.Coord)
		}
	})
}

func TestCoordinatesInOtherSpellings(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		for _, c := range []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"GET", "/v1/coordinate/nodes", "", 200, "[]"},
			{"GET", "/v1/coordinate/nodes?segment=", "", 200, "[]"},
			{"GET", "/v1/coordinate/node/none", "", 404, ""},
			{"GET", "/v1/coordinate/node/", "", 400, "Missing node name"},
			{"GET", "/v1/coordinate/datacenters", "", 200, `[{"Datacenter":"dc1","AreaID":"wan","Coordinates":[]}]`},
			{"PUT", "/v1/coordinate/update", "{", 400, "Request decode failed: unexpected EOF"},
			{"PUT", "/v1/coordinate/update", `{"Node": "m1"}`, 500, "invalid coordinate"},
			{"PUT", "/v1/coordinate/update", `{"Node": "m1", "Coord": {"Vec": [1, 2]}}`, 500, "incompatible coordinate"},
			{"PUT", "/v1/coordinate/update", `{"Coord": {"Vec": [1, 2, 3, 4, 5, 6, 7, 8]}}`, 500, "Must provide node"},
			{"PUT", "/v1/coordinate/update?dc=far", `{"Node": "m1"}`, 500, "No path to datacenter"},
			{"PUT", "/v1/coordinate/update", `{"node": "m1", "coord": {"vec": [1, 2, 3, 4, 5, 6, 7, 8]}}`, 200, ""},
		} {
			if status, answer, err := m.ask(a, c.method, c.path, c.body); err != nil || status != c.status || answer != c.want {
				w.Errorf("%s %s %s: %d %q, %v; want %d %q", c.method, c.path, c.body, status, answer, err, c.status, c.want)
			}
		}
		time.Sleep(6 * time.Second)
		m.want(a, "GET", "/v1/coordinate/node/M1", "", `[{"Node":"m1","Segment":"","Coord":{"Vec":[1,2,3,4,5,6,7,8],"Error":0,"Adjustment":0,"Height":0}}]`)
		if status, _, err := m.ask(a, "GET", "/v1/coordinate/node/m1?segment=other", ""); err != nil || status != 404 {
			w.Errorf("in another segment: %d, %v", status, err)
		}
	})
}

// TestAClientAgentIsLocatedAndExecutesQueries has a client agent send its own
// coordinate, and ask for what is near to it.
func TestAClientAgentIsLocatedAndExecutesQueries(t *testing.T) {
	inWorld(t, func(w world) {
		machines, servers := w.servers(1)
		defer w.close(servers[0])
		m := w.machine(9)
		a := m.start(joined(1, false))
		defer w.close(a)
		machines[0].ready(servers[0])
		time.Sleep(40 * time.Second)
		nodes, _, err := m.client(a).Coordinate().Nodes(nil)
		if err != nil || len(nodes) != 2 || nodes[0].Node != "m1" || nodes[1].Node != "m9" {
			w.Errorf("%+v, %v", nodes, err)
		}
		if dcs, err := m.client(a).Coordinate().Datacenters(); err != nil || len(dcs) != 1 || len(dcs[0].Coordinates) != 1 || dcs[0].Coordinates[0].Node != "m1" {
			w.Errorf("%+v, %v", dcs, err)
		}
		if near, _, err := m.client(a).Catalog().Nodes(&capi.QueryOptions{Near: "_agent"}); err != nil || len(near) != 2 || near[0].Node != "m9" {
			w.Errorf("near: %+v, %v", near, err)
		}
		q := m.client(a).PreparedQuery()
		id, _, err := q.Create(&capi.PreparedQueryDefinition{Name: "q", Service: capi.ServiceQuery{Service: "consul", Near: "_agent"}}, nil)
		if err != nil {
			w.Fatal(err)
		}
		if r, _, err := q.Execute("q", nil); err != nil || nodesOf(r) != "m1" {
			w.Errorf("executed: %+v, %v", r, err)
		}
		m.want(a, "DELETE", "/v1/query/"+id, "", "")
		if _, _, err := q.Execute("q", nil); err == nil {
			w.Error("a deleted query was executed")
		}
	})
}
