// Package fault gives errors a kind that survives the wire, so that a server
// that forwarded a request, and the HTTP API in front of it, can decide by kind
// what a text alone would not tell. The texts are those that Consul's clients
// match on.
package fault

import (
	"errors"
	"fmt"
)

// Kind is what sort of failure an error is.
type Kind uint8

// The kinds. The numbers travel between servers.
const (
	Internal    Kind = 0 // a failure nobody planned for
	NoLeader    Kind = 1 // no leader is known; nothing was done
	NotLeader   Kind = 2 // the server asked does not lead; nothing was done
	Invalid     Kind = 3 // the request makes no sense
	NotFound    Kind = 4
	Denied      Kind = 5
	TooLarge    Kind = 6
	Unavailable Kind = 7 // the server could not be reached; nothing was done
	Unknown     Kind = 8 // no answer came: what was asked may have been done or not
	Busy        Kind = 9 // more was asked for than may be; nothing was done
)

// Texts that clients match on.
const (
	TextNoLeader         = "No cluster leader"
	TextNoPath           = "No path to datacenter"
	TextPermissionDenied = "Permission denied"
	TextNoQuery          = "Query not found"
)

type fault struct {
	kind Kind
	err  error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// New returns an error of a kind. The format is that of fmt.Errorf.
func New(kind Kind, format string, args ...any) error {
	return &fault{kind, fmt.Errorf(format, args...)}
}

// Wrap gives an error a kind; nil stays nil.
func Wrap(kind Kind, err error) error {
	if err == nil {
		return nil
	}
	return &fault{kind, err}
}

// Of returns the kind of an error: that of the outermost error in its chain
// that has one, Internal for others.
func Of(err error) Kind {
	var f *fault
	if errors.As(err, &f) {
		return f.kind
	}
	return Internal
}

// names are the kinds' names for people, in the order of their numbers.
var names = [...]string{
	"internal", "no leader", "not the leader", "invalid", "not found", "denied", "too large", "unavailable", "unknown outcome", "busy",
}

// Valid reports whether a number that came over the wire is a kind.
func (k Kind) Valid() bool { return int(k) < len(names) }

// String names the kind for people.
func (k Kind) String() string {
	if !k.Valid() {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return names[k]
}
