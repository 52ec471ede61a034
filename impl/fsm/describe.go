package fsm

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"tribune/impl/api"
)

// String is the command's name.
func (t Type) String() string {
	switch t &^ IgnoreUnknown {
	case RegisterType:
		return "register"
	case DeregisterType:
		return "deregister"
	case KVSType:
		return "kv"
	case SessionType:
		return "session"
	case QueryType:
		return "query"
	case TombstoneType:
		return "tombstone"
	case CoordinateType:
		return "coordinates"
	case TxnType:
		return "txn"
	case SpellType:
		return "spell"
	}
	return fmt.Sprintf("type %d", byte(t))
}

// Describe says in a line what a command is about, for people who look into a
// log: its name and what it writes, values left out. What cannot be decoded it
// says so of.
func Describe(command []byte) string {
	if len(command) == 0 {
		return "empty"
	}
	t := Type(command[0])
	subject, err := describe(t&^IgnoreUnknown, codec.NewDecoderBytes(command[1:], newHandle()))
	if err != nil {
		return fmt.Sprintf("%v, which cannot be decoded: %v", t, err)
	}
	return strings.TrimSpace(t.String() + " " + subject)
}

func describe(t Type, d *codec.Decoder) (string, error) {
	switch t {
	case RegisterType:
		var r api.RegisterRequest
		err := d.Decode(&r)
		return registration(r), err
	case DeregisterType:
		var r api.DeregisterRequest
		err := d.Decode(&r)
		return join(r.Node, named("service", r.ServiceID), named("check", r.CheckID)), err
	case KVSType:
		var r api.KVApplyRequest
		err := d.Decode(&r)
		return write(r), err
	case SessionType:
		var r api.SessionApplyRequest
		err := d.Decode(&r)
		return join(string(r.Op), r.Session.ID, named("of", r.Session.Node), named("ttl", r.Session.TTL)), err
	case QueryType:
		var r api.QueryApplyRequest
		err := d.Decode(&r)
		return join(string(r.Op), r.Query.ID, r.Query.Name), err
	case TombstoneType:
		var r ReapRequest
		err := d.Decode(&r)
		return fmt.Sprintf("up to %d", r.UpTo), err
	case CoordinateType:
		var r api.CoordinateBatch
		err := d.Decode(&r)
		return fmt.Sprintf("of %d nodes", len(r.Updates)), err
	case TxnType:
		var r api.TxnRequest
		err := d.Decode(&r)
		return fmt.Sprintf("of %d operations", len(r.Ops)), err
	}
	return "", nil
}

func registration(r api.RegisterRequest) string {
	parts := []string{r.Node}
	if r.Service != nil {
		parts = append(parts, named("service", r.Service.ID))
	}
	checks := r.Checks
	if r.Check != nil {
		checks = append(checks, *r.Check)
	}
	for _, c := range checks {
		parts = append(parts, named("check", c.CheckID), c.Status)
	}
	return join(parts...)
}

func write(r api.KVApplyRequest) string {
	text := join(string(r.Op), r.Entry.Key)
	if r.Op == api.KVCAS || r.Op == api.KVDeleteCAS {
		text += fmt.Sprintf(" if at %d", r.Entry.ModifyIndex)
	}
	return join(text, named("session", r.Entry.Session))
}

func named(what, name string) string {
	if name == "" {
		return ""
	}
	return what + " " + name
}

func join(parts ...string) string {
	var there []string
	for _, p := range parts {
		if p != "" {
			there = append(there, p)
		}
	}
	return strings.Join(there, " ")
}
