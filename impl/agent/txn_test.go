package agent_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/agent"
	"tribune/impl/config"
)

// transactor returns what carries out a transaction.
func (m machine) transactor(a *agent.Agent) func(ops ...*capi.TxnOp) (bool, *capi.TxnResponse) {
	c := m.client(a)
	return func(ops ...*capi.TxnOp) (bool, *capi.TxnResponse) {
		m.Helper()
		ok, answer, _, err := c.Txn().Txn(ops, nil)
		if err != nil {
			m.Fatal(err)
		}
		return ok, answer
	}
}

func TestTheOfficialClientUsesTransactions(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		time.Sleep(time.Second) // the leader registers its own node
		c := m.client(a)
		do := m.transactor(a)
		kv := func(verb capi.KVOp, key, value string, index uint64) *capi.TxnOp {
			return &capi.TxnOp{KV: &capi.KVTxnOp{Verb: verb, Key: key, Value: []byte(value), Index: index}}
		}
		ok, answer := do(kv(capi.KVSet, "a", "1", 0), kv(capi.KVSet, "b", "2", 0), kv(capi.KVGet, "a", "", 0))
		if !ok || len(answer.Results) != 3 || string(answer.Results[2].KV.Value) != "1" || answer.Results[0].KV.Value != nil ||
			answer.Results[0].KV.ModifyIndex != answer.Results[1].KV.ModifyIndex {
			w.Errorf("%t, %+v", ok, answer)
		}
		// One operation that fails undoes all, a session's end and its lock too.
		id, _, err := c.Session().Create(&capi.SessionEntry{LockDelay: time.Minute}, nil)
		if err != nil {
			w.Fatal(err)
		}
		if ok, _, err := c.KV().Acquire(&capi.KVPair{Key: "lock", Session: id}, nil); !ok || err != nil {
			w.Fatal(ok, err)
		}
		ok, answer = do(
			kv(capi.KVSet, "a", "9", 0), kv(capi.KVCAS, "b", "9", 12345), kv(capi.KVDelete, "b", "", 0),
			&capi.TxnOp{Node: &capi.NodeTxnOp{Verb: capi.NodeDelete, Node: capi.Node{Node: "m1"}}}, kv(capi.KVGet, "none", "", 0),
		)
		if ok || len(answer.Results) != 0 || len(answer.Errors) != 2 || answer.Errors[0].OpIndex != 1 || answer.Errors[1].OpIndex != 4 {
			w.Errorf("%t, %+v", ok, answer)
		}
		ok, answer = do(
			kv(capi.KVGet, "a", "", 0), kv(capi.KVGet, "b", "", 0),
			&capi.TxnOp{KV: &capi.KVTxnOp{Verb: capi.KVCheckSession, Key: "lock", Session: id}},
		)
		if !ok || string(answer.Results[0].KV.Value)+string(answer.Results[1].KV.Value) != "12" {
			w.Errorf("%t, %+v", ok, answer)
		}
	})
}

func TestTransactionsChangeTheCatalog(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		do := m.transactor(a)
		node := capi.Node{Node: "ext", Address: "192.0.2.1"}
		ok, answer := do(
			&capi.TxnOp{Node: &capi.NodeTxnOp{Verb: capi.NodeSet, Node: node}},
			&capi.TxnOp{Service: &capi.ServiceTxnOp{Verb: capi.ServiceSet, Node: "ext", Service: capi.AgentService{ID: "web-1", Service: "web", Port: 80}}},
			&capi.TxnOp{Check: &capi.CheckTxnOp{Verb: capi.CheckSet, Check: capi.HealthCheck{Node: "ext", CheckID: "c", ServiceID: "web-1", Status: "passing"}}},
			&capi.TxnOp{Service: &capi.ServiceTxnOp{Verb: capi.ServiceGet, Node: "ext", Service: capi.AgentService{ID: "web-1"}}},
		)
		if !ok || len(answer.Results) != 4 || answer.Results[0].Node.Node != "ext" || answer.Results[0].Node.Datacenter != "dc1" || answer.Results[2].Check.ServiceName != "web" || answer.Results[3].Service.Port != 80 {
			w.Errorf("%t, %+v", ok, answer)
		}
		index := answer.Results[2].Check.ModifyIndex
		for _, c := range []struct {
			verb  capi.CheckOp
			index uint64
			want  string
		}{
			{capi.CheckCAS, index + 1, `failed to set check "c" on node "ext", index is stale`},
			{capi.CheckDeleteCAS, index + 1, `failed to delete check "c" on node "ext", index is stale`},
			{capi.CheckCAS, index, ""},
			{"frob", 0, `unknown Check verb "frob"`},
			{capi.CheckDelete, 0, ""},
			{capi.CheckGet, 0, `check "c" on node "ext" doesn't exist`},
		} {
			ok, answer := do(&capi.TxnOp{Check: &capi.CheckTxnOp{Verb: c.verb, Check: capi.HealthCheck{Node: "ext", CheckID: "c", Status: "warning", ModifyIndex: c.index}}})
			got := ""
			if !ok {
				got = answer.Errors[0].What
			}
			if got != c.want {
				w.Errorf("%s: %q, want %q", c.verb, got, c.want)
			}
		}
	})
}

// A check without an ID is known by its name, and what has neither is not there.
func TestATransactionWithoutAnIDLeavesTheNodeWhereItIs(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		do := m.transactor(a)
		check := func(verb capi.CheckOp, c capi.HealthCheck) *capi.TxnOp {
			c.Node = "ext"
			return &capi.TxnOp{Check: &capi.CheckTxnOp{Verb: verb, Check: c}}
		}
		service := func(verb capi.ServiceOp, s capi.AgentService) *capi.TxnOp {
			return &capi.TxnOp{Service: &capi.ServiceTxnOp{Verb: verb, Node: "ext", Service: s}}
		}
		ok, answer := do(
			&capi.TxnOp{Node: &capi.NodeTxnOp{Verb: capi.NodeSet, Node: capi.Node{Node: "ext", Address: "192.0.2.1"}}},
			service(capi.ServiceSet, capi.AgentService{Service: "web"}),
			check(capi.CheckSet, capi.HealthCheck{Name: "http", Status: "passing"}),
			check(capi.CheckSet, capi.HealthCheck{Name: "disk", Status: "passing"}),
		)
		if !ok || answer.Results[2].Check.CheckID != "http" {
			w.Fatalf("%t, %+v", ok, answer)
		}
		has := func() string {
			checks, _, err := m.client(a).Health().Node("ext", nil)
			if err != nil {
				w.Fatal(err)
			}
			node, _, err := m.client(a).Catalog().Node("ext", nil)
			if err != nil || node == nil {
				return fmt.Sprintf("no node, %v", err)
			}
			got := fmt.Sprintf("%d services", len(node.Services))
			for _, c := range checks {
				got += " " + c.CheckID
			}
			return got
		}
		for _, c := range []struct {
			what string
			op   *capi.TxnOp
			want string
		}{
			{"a check by its name", check(capi.CheckDelete, capi.HealthCheck{Name: "http"}), "1 services disk"},
			{"a check that is not there", check(capi.CheckDelete, capi.HealthCheck{Name: "http"}), "1 services disk"},
			{"no check", check(capi.CheckDelete, capi.HealthCheck{}), "1 services disk"},
			{"no service", service(capi.ServiceDelete, capi.AgentService{}), "1 services disk"},
			{"a service by its name", service(capi.ServiceDelete, capi.AgentService{Service: "web"}), "0 services disk"},
		} {
			if ok, answer := do(c.op); !ok || has() != c.want {
				w.Errorf("after %s was deleted: %t, %+v, %s; want %s", c.what, ok, answer, has(), c.want)
			}
		}
		ok, answer = do(check(capi.CheckSet, capi.HealthCheck{Status: "passing"}))
		if ok || len(answer.Errors) != 1 || answer.Errors[0].What != "Must provide a check ID or a name" {
			w.Errorf("a check without ID and name: %t, %+v", ok, answer)
		}
	})
}

func TestTransactionsThatCannotBeReadAreRefused(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start(func(c *config.Config) { c.HTTP.MaxTxnLen = 1_000_000 })
		defer w.close(a)
		m.ready(a)
		op := `{"KV":{"Verb":"set","Key":"k","Value":"dg=="}}`
		many := strings.TrimSuffix(strings.Repeat(op+",", 129), ",")
		for _, c := range []struct {
			body   string
			status int
			want   string
		}{
			{"[" + op + "]", 200, `{"Results":[{"KV":{"LockIndex":0,"Key":"k","Flags":0,"Value":null,`},
			{"[]", 200, `{"Results":[],"Errors":null}`},
			{"[" + many + "]", 413, "Transaction contains too many operations (129 > 128)"},
			{"{", 400, "Failed to parse body: "},
			{`[{"KV":{"Verb":"set","Key":"k","Value":"no base64!"}}]`, 400, "Failed to parse body: "},
			{fmt.Sprintf(`[{"KV":{"Verb":"set","Key":"k","Value":"%s"}}]`, strings.Repeat("AAAA", 300_000)), 413, "Request body too large, max size: 1000000 bytes"},
			{fmt.Sprintf(`[{"KV":{"Verb":"set","Key":"k","Value":"%s"}}]`, strings.Repeat("AAAA", 200_000)), 413, `Value for key "k" is too large (600000 > 524288 bytes)`},
			{`[{"KV":{"Verb":"set","Value":"dg=="}}]`, 409, `{"Results":null,"Errors":[{"OpIndex":0,"What":"Must provide key"}]}`},
			{`[{}]`, 409, `{"Results":null,"Errors":[{"OpIndex":0,"What":"no operation specified"}]}`},
			{`[{"Session":{"Verb":"make"}}]`, 409, `{"Results":null,"Errors":[{"OpIndex":0,"What":"unknown Session verb \"make\""}]}`},
		} {
			if status, answer, err := m.ask(a, "PUT", "/v1/txn", c.body); err != nil || status != c.status || !strings.HasPrefix(answer, c.want) {
				w.Errorf("%.60s: %d %.200q, %v; want %d %q", c.body, status, answer, err, c.status, c.want)
			}
		}
		if status, answer, err := m.ask(a, "GET", "/v1/txn", ""); status != 405 || err != nil {
			w.Errorf("GET: %d %s, %v", status, answer, err)
		}
	})
}
