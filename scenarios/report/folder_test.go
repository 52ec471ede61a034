package report_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tribune/scenarios/report"
)

func TestOfAnEarlierReportNothingStays(t *testing.T) {
	died, torn := dead(t)
	dir := reported(t, died, torn)
	r, events := tiny()
	if err := report.Write(dir, r, recorded(t, events)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, report.DeathFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the report of a run that ended says that it died: %v", err)
	}
}

func TestAReportOfAnotherVersionIsSaidToBeOne(t *testing.T) {
	r, events := tiny()
	dir := reported(t, r, recorded(t, events).Bytes())
	name := filepath.Join(dir, report.OrderFile)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Replace(text, []byte(`"Seed"`), []byte(`"Sown"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := report.Read(dir); !errors.Is(err, report.ErrAnother) || !strings.Contains(err.Error(), name) {
		t.Errorf("got %v", err)
	}
}
