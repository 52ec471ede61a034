package harness

import "testing"

func TestAProblemIsNeverTakenForNone(t *testing.T) {
	for problem, want := range map[string]string{
		"": "", "3: jobs lost": "a problem", "7": "a problem", ": x": "a problem", "lost 12 jobs: 3, 4": "lost  jobs",
	} {
		if got := signature(problem); got != want {
			t.Errorf("%q is %q, want %q", problem, got, want)
		}
	}
}
