//go:build browser

package report_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"tribune/scenarios/report"
)

// tab is a page in a browser without a screen, and what it complained about.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
	requests   []string // what it asked for beside itself
}

// open shows a file in a browser. The test fails at its end if the page complained,
// or asked for anything.
func open(t *testing.T, file string, options ...chromedp.ExecAllocatorOption) *tab {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium here; as root on Debian, make browser installs it")
	}
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1500, 1000),
	}
	for _, name := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync"} {
		flags = append(flags, chromedp.Flag(name, true))
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), append(flags, options...)...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stop)
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	url := "file://" + file
	b.do(chromedp.Navigate(url))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.complaints) > 0 {
			t.Errorf("the page complained:\n%s", strings.Join(b.complaints, "\n"))
		}
		for _, r := range b.requests {
			if r != url && !strings.HasPrefix(r, "data:") && !strings.HasPrefix(r, "about:") {
				t.Errorf("the page asked for %s", r)
			}
		}
		if !slices.Contains(b.requests, url) {
			t.Errorf("requests are not seen: %v", b.requests)
		}
	})
	return b
}

func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, fmt.Sprintf("exception: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprintf("console.%s", e.Type))
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, fmt.Sprintf("%s: %s", e.Entry.Level, e.Entry.Text))
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// ask returns what a JavaScript expression says, once the picture is drawn.
func ask[T any](b *tab, expression string) T {
	b.t.Helper()
	drawn := fmt.Sprintf("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done((() => %s)()))))", expression)
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](drawn, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return ask[string](b, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

// made runs a scenario and returns the folder of its report. A run that fails its
// checks has status 1.
func made(t *testing.T, scenario string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	all := append([]string{"run", "tribune/cmd/simctl", "run", "-seed", "1", "-report", dir}, args...)
	out, err := exec.Command("go", append(all, "../"+scenario+".yaml")...).CombinedOutput()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		t.Fatal(err)
	}
	file := filepath.Join(dir, scenario+"-1", "report.html")
	if info, err := os.Stat(file); err != nil || info.Size() > 10<<20 {
		t.Fatalf("no report, or one of more than 10 MB: %v\n%s", err, out)
	}
	return file
}

// TestTheReportOfAFailedRun uses the page as a person does.
func TestTheReportOfAFailedRun(t *testing.T) {
	file := made(t, "canary")
	t.Run("what went wrong", func(t *testing.T) { findings(open(t, file)) })
	t.Run("zoom, filter, messages", func(t *testing.T) { timeline(open(t, file)) })
}

// findings looks for what went wrong.
func findings(b *tab) {
	t := b.t
	if got := b.text("#outcome"); got != "1 of 7 checks failed" {
		t.Errorf("the outcome is %q", got)
	}
	if got := ask[float64](b, "report.chart.getBoundingClientRect().top"); got > 600 {
		t.Errorf("the timeline begins %.0f pixels below the top: on a small screen nobody sees it", got)
	}
	if got := b.text("#verdicts .quiet > summary"); !strings.Contains(got, "6 checks are as expected") || !strings.Contains(got, "durable") {
		t.Errorf("of the other checks it says %q", got)
	}
	first := b.text("[data-finding]")
	if !strings.Contains(first, "stale read") || !strings.Contains(first, "was overwritten by") {
		t.Fatalf("the first finding is %q", first)
	}

	// A click on the finding goes to the operation.
	b.do(chromedp.Click(chromedp.CSS("[data-finding]")))
	if got := b.text("#details"); !strings.Contains(got, "was overwritten by") || !strings.Contains(got, "The operations in question") {
		t.Errorf("the details of the finding are %q", got)
	}
	type place struct{ X, Y, From, Until, Call float64 }
	const failing = "report.run.ops[report.run.findings[0].ops[0]]"
	p := ask[place](b, "({...report.locate("+failing+"), from: report.view.from, until: report.view.until, call: "+failing+".call})")
	// JSON names are matched without regard to case: x is X.
	if p.Call < p.From || p.Call > p.Until || p.Until-p.From > 20e9 {
		t.Errorf("the operation at %v is not in the window, or too small: %v to %v", p.Call, p.From, p.Until)
	}

	// The keys for zooming keep what is chosen in the window.
	b.do(chromedp.KeyEvent("+"), chromedp.KeyEvent("+"), chromedp.KeyEvent("+"))
	if p = ask[place](b, "({from: report.view.from, until: report.view.until, call: "+failing+".call})"); p.Call < p.From || p.Call > p.Until {
		t.Errorf("after zooming in the operation at %v is not in the window: %v to %v", p.Call, p.From, p.Until)
	}
	b.do(chromedp.Click(chromedp.CSS("[data-finding]")))
	if got := b.text("#details"); !strings.Contains(got, "simctl trace") || !strings.Contains(got, "simctl debug -until 'at>=") {
		t.Errorf("the details of the finding name no commands to go on with: %q", got)
	}

	// A click on the operation in the picture shows its details.
	b.do(chromedp.KeyEvent(kb.Escape))
	if got := b.text("#details"); !strings.Contains(got, "Nothing is chosen") {
		t.Errorf("after Escape the details are %q", got)
	}
	p = ask[place](b, "report.locate("+failing+")")
	b.do(chromedp.MouseClickXY(p.X, p.Y))
	want := ask[string](b, failing+".what")
	if got := b.text("#details"); !strings.HasPrefix(got, want) || !strings.Contains(got, "stale read") || !strings.Contains(got, "returned") {
		t.Errorf("the details of the operation %q are %q", want, got)
	}
}

// timeline does what one does with a timeline.
func timeline(b *tab) {
	t := b.t
	length := func() float64 { return ask[float64](b, "report.view.length") }
	whole := length()
	b.do(chromedp.KeyEvent("+"))
	if got := length(); got != whole/2 {
		t.Errorf("the key + makes %v of %v", got, whole)
	}
	b.do(chromedp.KeyEvent("0"), chromedp.Click(chromedp.CSS("#zoom-in")), chromedp.Click(chromedp.CSS("#zoom-in")))
	if got := length(); got != whole/4 {
		t.Errorf("two clicks make %v of %v", got, whole)
	}
	type box struct{ X, Y float64 }
	at := ask[box](b, "(() => { report.chart.scrollIntoView(); const r = report.chart.getBoundingClientRect(); return { x: r.left + 400, y: r.top + 200 } })()")
	before := length()
	b.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseWheel, at.X, at.Y, func(p *input.DispatchMouseEventParams) {
		p.DeltaX, p.DeltaY = 0.01, -300 // both must be there
	}))
	if got := length(); got >= before {
		t.Errorf("the wheel makes %v of %v", got, before)
	}
	from := ask[float64](b, "report.view.from")
	b.do(chromedp.DragAndDropXY(at.X, at.Y, at.X-120, at.Y))
	if got := ask[float64](b, "report.view.from"); got <= from {
		t.Errorf("a drag moves the window from %v to %v", from, got)
	}

	// Words choose operations.
	b.do(chromedp.KeyEvent("0"), chromedp.SendKeys(chromedp.CSS("#search"), "put c8-5"))
	type shown struct{ Found, All int }
	s := ask[shown](b, "({ found: report.filter.found, all: report.run.ops.length })")
	if s.Found == 0 || s.Found > 30 || s.All < 5000 || !strings.Contains(b.text("#matches"), fmt.Sprintf("%d of", s.Found)) {
		t.Errorf("%d of %d operations are found: %q", s.Found, s.All, b.text("#matches"))
	}
	ask[bool](b, "(() => { const s = document.getElementById('search'); s.value = ''; return s.dispatchEvent(new Event('input')) })()")
	b.do(chromedp.Click(chromedp.CSS("label:has([data-show=done])")))
	if got := ask[bool](b, "report.run.ops.every((o) => o.shown === (o.outcome !== 'done'))"); !got {
		t.Error("operations that are done are not left out")
	}

	// Messages appear once there are few enough to tell apart.
	arrows := func() int { return ask[int](b, "report.drawn.hits.filter((h) => h.item.type === 'message').length") }
	ask[bool](b, "(document.getElementById('search').blur(), true)")
	b.do(chromedp.KeyEvent("m"))
	if n := arrows(); n != 0 {
		t.Errorf("%d messages in the whole run", n)
	}
	ask[bool](b, "(report.view.set(7e9, 7.2e9), true)")
	if n := arrows(); n == 0 {
		t.Error("no messages, however close one looks")
	}
}

// TestColoursFollowThePersonAndThePaper holds light, dark and print.
func TestColoursFollowThePersonAndThePaper(t *testing.T) {
	b := open(t, made(t, "partition", "-duration", "20s"))
	if got := b.text("#outcome"); got != "all as expected" {
		t.Errorf("the outcome is %q", got)
	}
	background := func() string { return ask[string](b, "getComputedStyle(document.body).backgroundColor") }
	light := background()
	b.do(chromedp.Click(chromedp.CSS("#theme")), chromedp.Click(chromedp.CSS("#theme")))
	if dark := background(); dark == light {
		t.Errorf("light and dark are both %s", dark)
	}
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
	if err != nil || !strings.HasPrefix(string(pdf), "%PDF") {
		t.Errorf("it does not print: %v", err)
	}
}

// TestTheReportOfARunThatDied shows what its process said, and goes to where its trace
// ends.
func TestTheReportOfARunThatDied(t *testing.T) {
	r, events := dead(t)
	b := open(t, filepath.Join(reported(t, r, events), report.PageFile))
	if got := b.text("#outcome"); got != "the run died" {
		t.Errorf("the outcome is %q", got)
	}
	if got := b.text("#verdicts"); !strings.Contains(got, "without one, expected a result") || !strings.Contains(got, "panic: <no> lock") {
		t.Errorf("the verdicts are %q", got)
	}
	if got := b.text("#more"); !strings.Contains(got, "goroutine 1:") || !strings.Contains(got, "the last line") || !strings.Contains(got, "simctl replay") {
		t.Errorf("below the picture stands %q", got)
	}
	b.do(chromedp.KeyEvent("+"), chromedp.KeyEvent("+"), chromedp.Click(chromedp.CSS("[data-finding]")))
	type window struct{ From, Until, End float64 }
	if w := ask[window](b, "({ from: report.view.from, until: report.view.until, end: report.run.end })"); w.Until < w.End || w.From <= 0 {
		t.Errorf("the end of the trace is not in the window %+v", w)
	}
}

// TestThePageOfAProgramOfSomebodyElses is that of package harness.
func TestThePageOfAProgramOfSomebodyElses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "split.html")
	out, err := exec.Command("go", "test", "tribune/examples/register", "-harness.case", "testdata/split.yaml", "-harness.page", file).CombinedOutput()
	if _, missing := os.Stat(file); missing != nil {
		t.Fatalf("no page: %v\n%s", err, out)
	}
	b := open(t, file)
	if got := b.text("#outcome"); got != "1 of 1 checks failed" {
		t.Errorf("the outcome is %q", got)
	}
	b.do(chromedp.Click(chromedp.CSS("[data-finding]")))
	if got := b.text("#details"); !strings.Contains(got, "was overwritten by") || !strings.Contains(got, "simctl trace testdata/split.trace -from") || strings.Contains(got, "debug") {
		t.Errorf("the details of the finding are %q", got)
	}
}

// TestALongRunIsSmooth draws ten minutes with 30,000 operations.
func TestALongRunIsSmooth(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, html(t, long()), 0o644); err != nil {
		t.Fatal(err)
	}
	b := open(t, file)
	// Drawing takes the time of a processor that is busy with other things too, so
	// the best of some is taken.
	best := ask[float64](b, "Math.min(...Array.from({ length: 10 }, () => { const t = performance.now(); report.draw(); return performance.now() - t }))")
	t.Logf("a picture of %d operations takes %.1f ms", ask[int](b, "report.run.ops.length"), best)
	if best > 50 {
		t.Errorf("a picture takes %.1f ms", best)
	}
}
