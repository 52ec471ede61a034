package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tribune/page"
	"tribune/scenarios"
)

// Judged is a run as a program wants to know of it: a line of `simctl run -json`.
type Judged struct {
	Scenario    string         `json:"scenario"`
	File        string         `json:"file"`
	Seed        uint64         `json:"seed,string"` // text, since readers of JSON keep 53 bits of a number
	OK          bool           `json:"ok"`
	Error       string         `json:"error,omitempty"` // the run came to no result
	Verdicts    []page.Verdict `json:"verdicts"`
	Done        int            `json:"done"` // operations
	Refused     int            `json:"refused"`
	Unknown     int            `json:"unknown"`
	Faults      int            `json:"faults"`
	Elections   int            `json:"elections"`
	Virtual     time.Duration  `json:"virtual"` // nanoseconds
	Took        time.Duration  `json:"took"`    // nanoseconds of real time
	Happened    uint64         `json:"happened"`
	Memory      uint64         `json:"memory"` // bytes
	Fingerprint string         `json:"fingerprint"`
	Report      string         `json:"report,omitempty"`     // folder
	Unreported  string         `json:"unreported,omitempty"` // why there is no report, though there was to be one
	Replay      string         `json:"replay"`               // command
}

// Judge sums a run up. The folder is that of the report, "" for none; err says why
// there is no result.
func Judge(r Run, folder string, err error) Judged {
	p, x := r.Plan, r.Result
	j := Judged{
		Scenario: p.Scenario.Name, File: r.File, Seed: p.Seed, OK: x.OK() && err == nil, Verdicts: inWords(x),
		Done: x.Ops.OK, Refused: x.Ops.Failed, Unknown: x.Ops.Unknown, Faults: len(x.Faults), Elections: len(x.Reigns),
		Virtual: x.Virtual, Took: r.Took, Happened: x.Events, Memory: x.PeakMemory, Fingerprint: x.Fingerprint, Report: folder,
		Replay: r.again(),
	}
	if err != nil {
		j.Error = err.Error()
	}
	if died := (*scenarios.Death)(nil); errors.As(err, &died) {
		j.Error = fmt.Sprintf("%v: %s", died.Err, died.Cause())
	}
	return j
}

// WriteJSON writes runs as JSON Lines: an object a run.
func WriteJSON(to io.Writer, runs []Judged) error {
	e := json.NewEncoder(to)
	for _, r := range runs {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// The elements of JUnit's XML, as continuous integration systems read them.
type (
	testSuites struct {
		XMLName  xml.Name    `xml:"testsuites"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Time     string      `xml:"time,attr"` // seconds
		Suites   []testSuite `xml:"testsuite"`
	}
	testSuite struct {
		Name     string     `xml:"name,attr"`
		File     string     `xml:"file,attr,omitempty"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Time     string     `xml:"time,attr"`
		Cases    []testCase `xml:"testcase"`
		took     time.Duration
	}
	testCase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		Time    string   `xml:"time,attr"`
		Failure *trouble `xml:"failure"`
		Error   *trouble `xml:"error"`
		Output  string   `xml:"system-out,omitempty"`
	}
	trouble struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes runs as JUnit XML: a testsuite a scenario, a testcase a check and
// seed. The real time of a run counts for its first check. The text of a failure ends
// with the command that shows it again.
func WriteJUnit(to io.Writer, runs []Judged) error {
	var all testSuites
	suites := map[string]int{}
	var total time.Duration
	for _, r := range runs {
		i, ok := suites[r.File]
		if !ok {
			i = len(all.Suites)
			suites[r.File] = i
			all.Suites = append(all.Suites, testSuite{Name: r.Scenario, File: r.File})
		}
		s := &all.Suites[i]
		for _, c := range r.cases() {
			s.Cases = append(s.Cases, c)
			s.Tests++
			all.Tests++
			if c.Failure != nil {
				s.Failures++
				all.Failures++
			}
			if c.Error != nil {
				s.Errors++
				all.Errors++
			}
		}
		s.took += r.Took
		s.Time = inSeconds(s.took)
		total += r.Took
	}
	all.Time = inSeconds(total)
	if _, err := io.WriteString(to, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(to)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(to, "\n")
	return err
}

func inSeconds(t time.Duration) string { return fmt.Sprintf("%.3f", t.Seconds()) }

// cases are the testcases of a run.
func (r Judged) cases() []testCase {
	name := func(check string) string { return fmt.Sprintf("%s, seed %d", check, r.Seed) }
	again := fmt.Sprintf("run it again: %s\n", r.Replay)
	if r.Report != "" {
		again += fmt.Sprintf("look at it: %s/%s\n", r.Report, PageFile)
	}
	var all []testCase
	broken := func(what, message, why string) {
		all = append(all, testCase{Class: r.Scenario, Name: name(what), Time: inSeconds(0), Error: &trouble{Message: message, Type: "error", Text: why + "\n" + again}})
	}
	if r.Unreported != "" {
		broken("report", "the report could not be written", r.Unreported)
	}
	if r.Error != "" {
		broken("run", "the run came to no result", r.Error)
	}
	for _, v := range r.Verdicts {
		c := testCase{Class: r.Scenario, Name: name(v.Check), Time: inSeconds(0), Output: v.Text}
		if !v.OK {
			var text strings.Builder
			fmt.Fprintf(&text, "%s\n", v.Text)
			for n, f := range v.Findings {
				if n == 10 {
					fmt.Fprintf(&text, "and %d more\n", len(v.Findings)-n)
					break
				}
				fmt.Fprintf(&text, "%s\n", f.Text)
			}
			c.Failure = &trouble{Message: fmt.Sprintf("%s is %s, expected %s", v.Check, v.Got, v.Expected), Type: v.Check, Text: text.String() + again}
		}
		all = append(all, c)
	}
	if len(all) > 0 {
		all[0].Time = inSeconds(r.Took)
	}
	return all
}
