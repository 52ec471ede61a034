package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"tribune/scenarios"
	"tribune/scenarios/report"
)

func TestVerdictsForPrograms(t *testing.T) {
	r, _ := tiny()
	broken := report.Run{File: "scenarios/other.yaml", Plan: scenarios.NewPlan(scenarios.Scenario{Name: "other"}, 1<<63)}
	judged := []report.Judged{report.Judge(r, "runs/tiny-7", nil), report.Judge(broken, "", errors.New("a panic <&>"))}

	var b bytes.Buffer
	if err := report.WriteJSON(&b, judged); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	var back report.Judged
	if err := json.Unmarshal([]byte(lines[0]), &back); err != nil {
		t.Fatal(err)
	}
	if back.OK || back.Seed != 7 || len(back.Verdicts) != 4 || len(back.Verdicts[0].Findings) != 1 || back.Replay != "simctl run -seed 7 scenarios/tiny.yaml" {
		t.Errorf("%+v", back)
	}
	if !strings.Contains(lines[1], `"seed":"9223372036854775808"`) || !strings.Contains(lines[1], `"ok":false`) {
		t.Error(lines[1])
	}

	b.Reset()
	if err := report.WriteJUnit(&b, judged); err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Tests int    `xml:"tests,attr"`
			Cases []struct {
				Name    string  `xml:"name,attr"`
				Failure *string `xml:"failure"`
				Error   *string `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &suites); err != nil {
		t.Fatal(err)
	}
	if suites.Tests != 5 || suites.Failures != 3 || suites.Errors != 1 || len(suites.Suites) != 2 || suites.Suites[0].Tests != 4 {
		t.Errorf("%+v", suites)
	}
	first := suites.Suites[0].Cases[0]
	if first.Name != "linearizable, seed 7" || first.Failure == nil || !strings.Contains(*first.Failure, "was overwritten by") || !strings.Contains(*first.Failure, "simctl run -seed 7 scenarios/tiny.yaml") {
		t.Errorf("%+v", first)
	}
	if last := suites.Suites[0].Cases[3]; last.Failure != nil {
		t.Errorf("what is expected is a failure: %+v", last)
	}
	if other := suites.Suites[1].Cases[0]; other.Error == nil || !strings.Contains(*other.Error, "a panic <&>") {
		t.Errorf("%+v", other)
	}

	// What was found is told as well where the report could not be written.
	judged[0].Unreported = "no space"
	b.Reset()
	suites.Suites = nil
	if err := errors.Join(report.WriteJUnit(&b, judged), xml.Unmarshal(b.Bytes(), &suites)); err != nil {
		t.Fatal(err)
	}
	if first := suites.Suites[0].Cases[0]; suites.Failures != 3 || suites.Errors != 2 || first.Error == nil || !strings.Contains(*first.Error, "no space") {
		t.Errorf("%+v", suites)
	}
}
