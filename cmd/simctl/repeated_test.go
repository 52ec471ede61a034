package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"tribune/page"
	"tribune/scenarios"
	"tribune/scenarios/report"
)

// TestWhatARunFoundOutlivesTheSameRunMadeAgain: it is made again only for its report.
func TestWhatARunFoundOutlivesTheSameRunMadeAgain(t *testing.T) {
	verdicts := []page.Verdict{{Check: "votes", OK: true}, {Check: "linearizable", Text: "x is lost"}}
	passed := []page.Verdict{{Check: "votes", OK: true}, {Check: "linearizable", OK: true}}
	first := report.Judged{File: "tiny.yaml", Seed: 7, Fingerprint: "aa", Verdicts: verdicts}
	reported := func(change func(*report.Judged)) report.Judged {
		again := first
		again.Report = "runs/tiny-7"
		change(&again)
		return again
	}
	for _, c := range []struct {
		what        string
		again       report.Judged
		err         error
		says        string // "": nothing more
		check, text string // the last that is wrong
	}{
		{"the same", reported(func(*report.Judged) {}), nil, "", "linearizable", "x is lost"},
		{"interrupted", report.Judged{Error: "signal: killed"}, context.Canceled, "FAILED linearizable: x is lost\n  it was not made again for its report: context canceled", "linearizable", "x is lost"},
		{"not made", report.Judged{Error: "no space"}, errors.New("no space"), "no space", "linearizable", "x is lost"},
		{"a full disk", reported(func(j *report.Judged) { j.Report, j.Unreported = "", "no space" }), errors.New("the report: no space"), "FAILED the report: no space", "linearizable", "x is lost"},
		{"another run, which passed", reported(func(j *report.Judged) { j.OK, j.Fingerprint, j.Verdicts = true, "bb", passed }), nil, "aa, which failed with linearizable: x is lost, became bb", "repeated", "simctl prove -seeds 7..7 tiny.yaml"},
		{"another run, which died", reported(func(j *report.Judged) { j.Fingerprint, j.Verdicts, j.Error = "", nil, "panic" }), &scenarios.Death{}, "FAILED repeated", "repeated", "prove"},
	} {
		keep, more := repeated(first, c.again, c.err)
		if (more == "") != (c.says == "") || !strings.Contains(more, c.says) {
			t.Errorf("%s: it says %q, want %q", c.what, more, c.says)
		}
		last := keep.Verdicts[len(keep.Verdicts)-1]
		if keep.OK || last.OK || last.Check != c.check || !strings.Contains(last.Text, c.text) {
			t.Errorf("%s: it keeps %+v, want %s: %s", c.what, keep, c.check, c.text)
		}
		if keep.Report != c.again.Report {
			t.Errorf("%s: the report is %q, want %q", c.what, keep.Report, c.again.Report)
		}
	}
}
