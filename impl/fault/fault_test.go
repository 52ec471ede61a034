package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"tribune/impl/fault"
)

func TestAnErrorHasTheKindOfTheOutermostFaultInItsChain(t *testing.T) {
	inner := fault.New(fault.NotLeader, "server %d does not lead", 2)
	for _, c := range []struct {
		name string
		err  error
		want fault.Kind
		text string
	}{
		{"no error", nil, fault.Internal, ""},
		{"a stranger", io.EOF, fault.Internal, "EOF"},
		{"a fault", inner, fault.NotLeader, "server 2 does not lead"},
		{"wrapped by fmt", fmt.Errorf("reading: %w", inner), fault.NotLeader, "reading: server 2 does not lead"},
		{"a fault over a fault", fault.Wrap(fault.Unknown, inner), fault.Unknown, "server 2 does not lead"},
		{"joined", errors.Join(io.EOF, inner), fault.NotLeader, "EOF\nserver 2 does not lead"},
		{"a stranger given a kind", fault.Wrap(fault.Denied, io.EOF), fault.Denied, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fault.Of(c.err); got != c.want {
				t.Errorf("kind %v, want %v", got, c.want)
			}
			if c.err != nil && c.err.Error() != c.text {
				t.Errorf("text %q, want %q", c.err, c.text)
			}
		})
	}
}

func TestWrappingKeepsTheCauseAndNil(t *testing.T) {
	if err := fault.Wrap(fault.Denied, nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	if err := fault.Wrap(fault.Denied, io.EOF); !errors.Is(err, io.EOF) {
		t.Errorf("%v lost its cause", err)
	}
	if err := fault.New(fault.Invalid, "bad: %w", io.EOF); !errors.Is(err, io.EOF) {
		t.Errorf("%v lost its cause", err)
	}
}

func TestEveryKindHasANameAndNoOtherNumberIsAKind(t *testing.T) {
	seen := map[string]bool{}
	for k := fault.Internal; k <= fault.Busy; k++ {
		if !k.Valid() || k.String() == "" || seen[k.String()] {
			t.Errorf("kind %d: valid %v, name %q", uint8(k), k.Valid(), k)
		}
		seen[k.String()] = true
	}
	if beyond := fault.Busy + 1; beyond.Valid() {
		t.Errorf("%v is taken for a kind", beyond)
	}
}
