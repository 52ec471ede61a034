package dns

import (
	"strings"

	"github.com/miekg/dns"
)

// kind is what sort of thing a name of ours stands for.
type kind uint8

const (
	nothing  kind = iota // there is no such name
	between              // it has no records, but there are names below it
	apex                 // the domain itself
	service              // NAME.service
	node                 // NAME.node
	address              // HEX.addr
	prepared             // NAME.query
)

// question is what a name asks for.
type question struct {
	kind kind
	name string   // of a service, a node or a query, or an address in hexadecimal
	tags []string // that an instance must have
}

// grammar is what it takes to read a name.
type grammar struct {
	datacenter  string
	severalTags bool
}

// parse reads a name in lower case that lies in domain. The word that says what
// sort of name it is, is the last one that may be, so that a service may be
// called "node".
func (g grammar) parse(name, domain string) question {
	labels := dns.SplitDomainName(name)
	labels = labels[:len(labels)-dns.CountLabel(domain)]
	if len(labels) == 0 {
		return question{kind: apex}
	}
	for i := len(labels) - 1; i >= 0; i-- {
		switch label := labels[i]; {
		case label == "service":
			return g.asked(service, labels[:i], labels[i+1:])
		case label == "node":
			return g.asked(node, labels[:i], labels[i+1:])
		case label == "addr":
			return g.asked(address, labels[:i], labels[i+1:])
		case label == "query":
			return g.asked(prepared, labels[:i], labels[i+1:])
		case label == "connect", label == "virtual", label == "ingress":
			return question{} // there is no service mesh
		case underscored(label): // RFC 2782, where ".service" may be left out
			return g.asked(service, labels[:i+1], labels[i+1:])
		}
	}
	if g.here(labels) || len(labels) == 1 && labels[0] == "dc" {
		return question{kind: between}
	}
	return question{}
}

// here reports whether labels name this datacenter: DC or DC.dc.
func (g grammar) here(labels []string) bool {
	return (len(labels) == 1 || len(labels) == 2 && labels[1] == "dc") && strings.EqualFold(labels[0], g.datacenter)
}

// asked reads the labels before the word that says what sort of name it is, and
// those after it.
func (g grammar) asked(k kind, labels, place []string) question {
	last := len(labels) - 1
	switch {
	case len(place) > 0 && !g.here(place):
		return question{}
	case len(labels) == 0:
		return question{kind: between}
	case k == address && len(labels) > 1:
		return question{}
	case k == address, k == node:
		return question{kind: k, name: strings.Join(labels, ".")}
	case len(labels) == 1 && underscored(labels[0]):
		return question{kind: between} // _tcp.service, below which is _NAME._tcp.service
	case len(labels) == 2 && underscored(labels[0]) && underscored(labels[1]):
		q := question{kind: k, name: labels[0][1:]}
		if tag := labels[1][1:]; k == service && tag != "tcp" {
			q.tags = []string{tag}
		}
		return q
	case k == prepared:
		return question{kind: k, name: strings.Join(labels, ".")}
	case last == 0:
		return question{kind: k, name: labels[0]}
	case g.severalTags:
		return question{kind: k, name: labels[last], tags: labels[:last]}
	}
	return question{kind: k, name: labels[last], tags: []string{strings.Join(labels[:last], ".")}}
}

func underscored(label string) bool { return len(label) > 1 && label[0] == '_' }
