package queue

import (
	"net/http/httptest"
	"os"
	"testing"

	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

func TestATornLineIsNoPartOfTheNext(t *testing.T) {
	disk := hosttest.NewDisk()
	if err := host.MakeDir(disk, dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := disk.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("+first\n+tor")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "first second", "first second second"} {
		q := &Queue{}
		if err := q.open(disk); err != nil {
			t.Fatal(err)
		}
		var got string
		for i, j := range q.jobs {
			if i > 0 {
				got += " "
			}
			got += j.name
		}
		if got != want {
			t.Errorf("it has %q, not %q", got, want)
		}
		q.add(httptest.NewRecorder(), httptest.NewRequest("POST", "/add?job=second", nil))
	}
}
