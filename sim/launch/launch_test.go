package launch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tribune/sim/detrt"
	"tribune/sim/launch"
	"tribune/sim/overlay"
)

// TestMain is what a test binary that simulates does: it is a child, or it
// becomes a binary with the overlay.
func TestMain(m *testing.M) {
	launch.ChildMain(map[string]launch.Main{
		"echo": func(in []byte, out io.Writer) {
			for range 100 {
				_, _ = out.Write(in)
			}
		},
		"environment": func(_ []byte, out io.Writer) {
			_ = json.NewEncoder(out).Encode(append(os.Environ(), os.Args...))
		},
		"panic":  func([]byte, io.Writer) { panic("on purpose") },
		"sleep":  func([]byte, io.Writer) { time.Sleep(time.Hour) },
		"bubble": bubble,
	})
	launch.Ensure("tribune/sim/launch", true)
	os.Exit(m.Run())
}

func bubble(_ []byte, out io.Writer) {
	err := detrt.Run(detrt.Options{Seed: 1}, func() {
		time.Sleep(time.Hour)
		fmt.Fprint(out, time.Now().UTC())
	})
	if err != nil {
		fmt.Fprint(out, err)
	}
}

func TestTheTestBinaryBecameOneWithTheOverlay(t *testing.T) {
	if !detrt.Enabled() {
		t.Error("no overlay")
	}
}

func TestAChildGetsItsInputAndItsOutputArrives(t *testing.T) {
	in := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	out, err := launch.Output(t.Context(), launch.Spec{Main: "echo", Input: in})
	if err != nil || !bytes.Equal(out, bytes.Repeat(in, 100)) {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}

func TestAProgramWhoseFileIsGoneStartsItselfStill(t *testing.T) {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, program, 0o755); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), file, "-test.run", "^TestAChildGetsItsInputAndItsOutputArrives$")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, said.String())
	}
}

func TestAChildRunsABubble(t *testing.T) {
	out, err := launch.Output(t.Context(), launch.Spec{Main: "bubble"})
	if string(out) != "2000-01-01 01:00:00 +0000 UTC" || err != nil {
		t.Errorf("%s, %v", out, err)
	}
}

func TestTheEnvironmentOfAChildIsFixed(t *testing.T) {
	t.Setenv("SOMETHING", "of the parent's")
	out, err := launch.Output(t.Context(), launch.Spec{Main: "environment", Perturb: launch.Perturb{EnvBytes: 5}})
	if err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"SOMETHING", os.Args[0], "GOCACHE"} {
		if strings.Contains(string(out), absent) {
			t.Errorf("%s reached the child: %s", absent, out)
		}
	}
	for _, want := range []string{"GOMAXPROCS=1", "TZ=UTC", "TRIBUNE_PERTURB=xxxxx\"", "tribune-run"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s is missing: %s", want, out)
		}
	}
}

func TestAFailingChildIsAnErrorWithItsComplaint(t *testing.T) {
	var stderr bytes.Buffer
	_, err := launch.Output(t.Context(), launch.Spec{Main: "panic", Stderr: &stderr})
	if err == nil || !strings.Contains(err.Error(), "run panic: exit status 2") || !strings.Contains(stderr.String(), "on purpose") {
		t.Errorf("%v, %s", err, stderr.String())
	}
	_, err = launch.Output(t.Context(), launch.Spec{Main: "nonsense", Stderr: &stderr})
	if err == nil || !strings.Contains(stderr.String(), `no function "nonsense"`) {
		t.Errorf("%v, %s", err, stderr.String())
	}
	_, err = launch.Output(t.Context(), launch.Spec{Binary: "/does/not/exist", Main: "echo"})
	if err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("%v", err)
	}
}

func TestAChildDiesWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := launch.Output(ctx, launch.Spec{Main: "sleep"})
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v", err)
	}
}

// TestAMutantIsBuilt applies a patch to the module and sees it act.
func TestAMutantIsBuilt(t *testing.T) {
	binary, err := launch.Build(launch.Options{Package: "tribune/sim/launch", Test: true, Patches: []overlay.Patch{{
		Name: "polite", Why: "shows that the module can be patched",
		File: "tribune/sim/launch/child.go", Old: `no function %q`, New: `alas, no function %q`,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	_, err = launch.Output(t.Context(), launch.Spec{Binary: binary, Main: "nonsense", Stderr: &stderr})
	if err == nil || !strings.Contains(stderr.String(), "alas, no function") {
		t.Errorf("%v, %s", err, stderr.String())
	}
}

func TestConcurrentBuildsGiveTheSameBinary(t *testing.T) {
	var wg sync.WaitGroup
	binaries := make([]string, 3)
	for i := range binaries {
		wg.Go(func() {
			var err error
			if binaries[i], err = launch.Build(launch.Options{Package: "tribune/sim/detrt/canary"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, b := range binaries {
		if b != binaries[0] {
			t.Errorf("%s and %s", b, binaries[0])
		}
	}
}

func TestAnUnsuitableGoToolIsAClearError(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "go")
	answer := `{"GOVERSION":"go1.31.2","GOROOT":"/old","GOMOD":"/x/go.mod"}`
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho '"+answer+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(fake)+":/bin:/usr/bin")
	_, err := launch.Build(launch.Options{Package: "tribune/sim/detrt/canary"})
	if err == nil || !strings.Contains(err.Error(), "made for go1.26") || !strings.Contains(err.Error(), "go1.31.2") {
		t.Errorf("another version: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err = launch.Build(launch.Options{Package: "tribune/sim/detrt/canary"})
	if err == nil || !strings.Contains(err.Error(), "go tool is needed") {
		t.Errorf("no tool: %v", err)
	}
}

func TestOutsideAModuleTheErrorSaysSo(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go tool in PATH")
	}
	t.Chdir(t.TempDir())
	_, err := launch.Build(launch.Options{Package: "tribune/sim/detrt/canary"})
	if err == nil || !strings.Contains(err.Error(), "no Go module") {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownPatchCannotBeOmitted(t *testing.T) {
	_, err := launch.Build(launch.Options{Package: "tribune/sim/detrt/canary", Omit: []string{"nonsense"}})
	if err == nil || !strings.Contains(err.Error(), "no such patch: nonsense") {
		t.Errorf("got %v", err)
	}
}
