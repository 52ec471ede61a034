package casefile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tribune/sim/casefile"
)

// file has a field of each kind that files of ours have.
type file struct {
	Name   string              `yaml:"name"`
	Wait   casefile.Duration   `yaml:"wait"`
	Count  int                 `yaml:"count"`
	Seed   uint64              `yaml:"seed"`
	Share  float64             `yaml:"share"`
	Loud   bool                `yaml:"loud"`
	Places []string            `yaml:"places"`
	Pair   [2]float64          `yaml:"pair"`
	Pause  []casefile.Duration `yaml:"pause"`
	Mix    map[string]int      `yaml:"mix"`
	One    part                `yaml:"one"`
	Many   []part              `yaml:"many"`
	Inline `yaml:",inline"`
}

type part struct {
	Kind string            `yaml:"kind"`
	At   casefile.Duration `yaml:"at"`
}

type Inline struct {
	Last string `yaml:"last"`
}

func usual() file {
	return file{Name: "usual", Wait: casefile.Duration{Duration: time.Second}, Count: 3, One: part{Kind: "plain"}}
}

// text draws what people write, and what a YAML reader may take for something else.
var text = rapid.OneOf(
	rapid.StringMatching(`[a-z][a-z-]{0,8}`),
	rapid.SampledFrom([]string{"", "~", "null", "Null", "true", "True", "yes", "no", "on", "off", "1", "-1", "0x10", "1e3", ".5", ".inf", ".nan", "NaN", "=", "<<", "---", "...", "a: b", "a #b", "- a", "'", `"`, "\\", "a\nb", " a", "a ", "é", "%", "@a", "2001-01-01", "1_000", "0o7", "+1", "1:30"}),
	rapid.String(),
)

func drawPart(t *rapid.T) part {
	return part{text.Draw(t, "kind"), drawDuration(t)}
}

func drawDuration(t *rapid.T) casefile.Duration {
	return casefile.Duration{Duration: time.Duration(rapid.Int64Range(-1e13, 1e13).Draw(t, "time"))}
}

func drawFile(t *rapid.T) file {
	return file{
		Name: text.Draw(t, "name"), Wait: drawDuration(t), Count: rapid.Int().Draw(t, "count"), Seed: rapid.Uint64().Draw(t, "seed"),
		Share: rapid.Float64Range(-1e9, 1e9).Draw(t, "share"), Loud: rapid.Bool().Draw(t, "loud"),
		Places: rapid.SliceOfN(text, 0, 3).Draw(t, "places"), Pause: rapid.SliceOfN(rapid.Custom(drawDuration), 0, 3).Draw(t, "pause"),
		Mix:  rapid.MapOfN(rapid.StringMatching(`[a-z][a-z-]{0,5}`), rapid.IntRange(-5, 5), 0, 3).Draw(t, "mix"),
		Pair: [2]float64{rapid.Float64Range(0, 2).Draw(t, "low"), rapid.Float64Range(0, 2).Draw(t, "high")},
		One:  drawPart(t), Many: rapid.SliceOfN(rapid.Custom(drawPart), 0, 3).Draw(t, "many"),
		Inline: Inline{text.Draw(t, "last")},
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawFile(t)
		written := casefile.Write(want, usual(), "What this is,\nin two lines.")
		got := usual()
		if _, err := casefile.Read("x.yaml", written, &got); err != nil && len(strings.TrimSpace(string(written))) > 0 {
			t.Fatalf("%v\n%s", err, written)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-written +read)\n%s\n%s", d, written)
		}
	})
}

func TestWhatGoesWithoutSayingIsNotWritten(t *testing.T) {
	said := usual()
	said.Wait.Duration, said.One.At.Duration, said.Many = 90*time.Minute, 5*time.Second, []part{{Kind: "kill"}, {At: casefile.Duration{Duration: time.Millisecond}}}
	const want = "# Why.\nwait: 1h30m\none: {at: 5s}\nmany:\n  - {kind: kill}\n  - {at: 1ms}\n"
	if got := string(casefile.Write(said, usual(), "Why.")); got != want {
		t.Errorf("written:\n%s\nwant:\n%s", got, want)
	}
}

func TestAMistakeIsOneLineThatNamesItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"name: a\nwiat: 5s\n":        `f.yaml:2: unknown key "wiat"; did you mean "wait"?`,
		"name: a\n\none: {knd: x}\n": `f.yaml:3: unknown key "knd"; did you mean "kind"?`,
		"frobnicate: 1\n":            `f.yaml:1: unknown key "frobnicate"`,
		"name: a\nwait: 5\n":         `f.yaml:2: "5" is not a duration with a unit, such as 300ms, 10s or 5m`,
		"many:\n  - {at: soon}\n":    `f.yaml:2: "soon" is not a duration with a unit, such as 300ms, 10s or 5m`,
		"count: 30\nwait: 30\n":      `f.yaml:2: "30" is not a duration with a unit, such as 300ms, 10s or 5m`,
		"pause: [1s,\n  2]\n":        `f.yaml:2: "2" is not a duration with a unit, such as 300ms, 10s or 5m`,
		"name: a\n---\nname: b\n":    "f.yaml:2: a second document begins here; a file has one",
		"name: a\n...\nname: b\n":    "f.yaml:3: a second document begins here; a file has one",
		"name: a\nseed: -3\n":        "f.yaml:2: -3 is not a whole number between 0 and 18446744073709551615",
		"count: 1e30\n":              "f.yaml:1: 1e30 is not a whole number between -9223372036854775808 and 9223372036854775807",
		"# nothing but this\n":       "f.yaml: there is nothing in it",
		"":                           "f.yaml: there is nothing in it",
	} {
		got := usual()
		if _, err := casefile.Read("f.yaml", []byte(text), &got); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
	for _, text := range []string{"---\nname: a\n", "name: a\n---\n", "name: a\n...\n# the end\n"} {
		got := usual()
		if _, err := casefile.Read("f.yaml", []byte(text), &got); err != nil || got.Name != "a" {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"count: many\n", "name: [a\n", "places: {a: 1}\n", "a: b: c\n"} {
		got := usual()
		_, err := casefile.Read("f.yaml", []byte(text), &got)
		if err == nil || !strings.HasPrefix(err.Error(), "f.yaml:1: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line that begins with f.yaml:1", text, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("name: a\nwait: 5s\nmany:\n  - {kind: kill}\n")
	f.Add("one: {at: 5}\n")
	f.Fuzz(func(t *testing.T, text string) {
		got := usual()
		if _, err := casefile.Read("f.yaml", []byte(text), &got); err != nil && !strings.HasPrefix(err.Error(), "f.yaml:") {
			t.Errorf("an error that names no file: %v", err)
		}
	})
}
