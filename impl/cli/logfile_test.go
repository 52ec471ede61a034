package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tribune/impl/config"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

// contents lists what the files of a directory hold, oldest first, the one that is
// written last.
func contents(t *testing.T, disk *hosttest.Disk, dir string) string {
	t.Helper()
	entries, err := disk.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range entries { // a file with a time sorts before the one without
		b, err := host.ReadFile(disk, dir+"/"+e.Name())
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	return strings.Join(texts, "|")
}

func TestTheLogGoesOnInAnotherFileWhenOneIsTooLongOrTooOld(t *testing.T) {
	for _, c := range []struct {
		settings config.LogFile
		want     string
	}{
		{config.LogFile{}, "0123456"},
		{config.LogFile{Bytes: 3}, "012|345|6"},
		{config.LogFile{Age: 2 * time.Hour}, "01|23|45|6"},
		{config.LogFile{Bytes: 1, Others: 2}, "4|5|6"},
		{config.LogFile{Bytes: 1, Others: -1}, "6"},
	} {
		synctest.Test(t, func(t *testing.T) {
			disk := hosttest.NewDisk()
			c.settings.Name = "/log/agent.log"
			var beside bytes.Buffer
			l, err := openLogFile(disk, c.settings, &beside)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 7 {
				if _, err := fmt.Fprint(l, i); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if got := contents(t, disk, "/log"); got != c.want || beside.String() != "0123456" {
				t.Errorf("%+v: %s and %s, want %s", c.settings, got, beside.String(), c.want)
			}
		})
	}
}

func TestAFileOfTheLogIsGoneOnWithAndOthersAreLeftAlone(t *testing.T) {
	disk := hosttest.NewDisk()
	if err := disk.MkdirAll("/log", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"/log/tribune.log": "before ", "/log/tribune-notes.log": "mine"} {
		if err := host.ReplaceFile(disk, name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	var beside bytes.Buffer
	l, err := openLogFile(disk, config.LogFile{Name: "/log/", Bytes: 12, Others: -1}, &beside)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"after", "anew"} {
		if _, err := l.Write([]byte(text)); err != nil {
			t.Error(err)
		}
	}
	disk.Fail(func(op, _ string) error {
		if op == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	if _, err := l.Write([]byte(" and aloud")); err == nil {
		t.Error("a full disk is no error")
	}
	disk.Fail(nil)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if got := contents(t, disk, "/log"); !strings.HasPrefix(got, "mine|anew") || beside.String() != "afteranew and aloud" {
		t.Errorf("%s and %s", got, beside.String())
	}
}

// gone is who does not read any more.
type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestTheFileOfTheLogGetsWhatNobodyElseReads(t *testing.T) {
	disk := hosttest.NewDisk()
	l, err := openLogFile(disk, config.LogFile{Name: "/log/agent.log"}, gone{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one ", "two"} {
		if _, err := fmt.Fprint(l, text); !errors.Is(err, syscall.EPIPE) {
			t.Error(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if got := contents(t, disk, "/log"); got != "one two" {
		t.Error(got)
	}
}
