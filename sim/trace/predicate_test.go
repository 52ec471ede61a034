package trace_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tribune/sim/trace"
)

func TestAPredicateChooses(t *testing.T) {
	const number = 500
	e := trace.Event{At: 12500 * time.Millisecond, Node: "s2", Peer: "s3", Kind: trace.Fault, Size: 1000, Text: `partition (a "bad" one)`}
	for text, want := range map[string]bool{
		"kind=fault": true, "kind!=fault": false, "kind~f.u": true, "kind=log": false,
		"node=s2": true, "node=s3": false, "peer=s3": true, "peer!=s3": false, "node=-": false,
		`text~bad`: true, `text~"^bad"`: false, `text~"\\(a"`: true, `text="partition (a \"bad\" one)"`: true, "text=partition": false,
		"at>12s": true, "at<=12.5s": true, "at>=12.5s": true, "at<12500ms": false, "at=12.5s": true, "at!=12.5s": false,
		"size>1000": false, "size>=1000": true, "number=500": true, "number<500": false,
		"kind=log or node=s2": true, "kind=log and node=s2": false, "not kind=log": true, "not not kind=log": false,
		// and binds closer than or.
		"node=s2 or kind=log and kind=life":   true,
		"(node=s2 or kind=log) and kind=life": false,
		"not (node=s2 and peer=s3)":           false,
		"not node=s1 and peer=s3":             true,
		"  kind = fault  and(node=s2)":        true,
		`kind="fault"`:                        true,
	} {
		p, err := trace.ParsePredicate(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := p(number, e); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	world, err := trace.ParsePredicate("node=-")
	if err != nil || !world(0, trace.Event{}) {
		t.Errorf("node=- is not the world: %v", err)
	}
}

func TestAPredicateThatIsWrongSaysWhere(t *testing.T) {
	for _, c := range []struct {
		text, mark, reason string // mark is the text up to what is wrong
	}{
		{"", "", "missing"},
		{"kind=falt", "kind=", `called "falt"; there are send,`},
		{"kind=fault node=s1", "kind=fault ", `"node" is too much`},
		{"kind=fault and", "kind=fault and", "missing"},
		{"time>5s", "", `"time" is no field`},
		{"kind", "kind", "after kind one of"},
		{"kind fault", "kind ", "after kind one of"},
		{"kind=", "kind=", "a value must come"},
		{"kind==fault", "kind=", "a value must come"},
		{"at>5", "at>", `"5" is no time`},
		{"at~5s", "at", "at is no text"},
		{"size>big", "size>", "no whole number"},
		{"node<s1", "node", "node has no order"},
		{"text~[", "text~", "error parsing regexp"},
		{`text~"open`, "text~", "does not end"},
		{"not (kind=fault or node=s1", "not ", "not closed"},
		{"kind=fault)", "kind=fault", `")" is too much`},
		{"text~ä and kind=x", "text~ä and kind=", `called "x"`},
	} {
		_, err := trace.ParsePredicate(c.text)
		var wrong *trace.PredicateError
		if !errors.As(err, &wrong) {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if wrong.Column != utf8.RuneCountInString(c.mark) || !strings.Contains(wrong.Reason, c.reason) {
			t.Errorf("%q: column %d, %s", c.text, wrong.Column, wrong.Reason)
		}
	}
	_, err := trace.ParsePredicate("kind=log and size>big")
	if want := "\"big\" is no whole number\n  kind=log and size>big\n                    ^"; err.Error() != want {
		t.Errorf("it is shown as\n%v", err)
	}
}

func FuzzPredicate(f *testing.F) {
	for _, seed := range []string{"kind=fault and (node=s1 or not text~\"x y\")", "at>5s", `text="a\x00"`, "not(((", "size>=\"1\"", "a\xff=b", "kind!==x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := trace.ParsePredicate(text)
		if err == nil {
			p(1, trace.Event{Kind: trace.Log, Node: "s1"})
			not, err := trace.ParsePredicate("not (" + text + ")")
			if err != nil || not(1, trace.Event{Kind: trace.Log}) == p(1, trace.Event{Kind: trace.Log}) {
				t.Errorf("%q, negated: %v", text, err)
			}
			return
		}
		var wrong *trace.PredicateError
		if !errors.As(err, &wrong) || wrong.Column < 0 || wrong.Column > utf8.RuneCountInString(wrong.Text) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
