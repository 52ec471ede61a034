package consensus

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/hashicorp/raft"

	"tribune/impl/host/hosttest"
)

// text is a state machine's snapshot.
type text string

func (s text) Persist(k raft.SnapshotSink) error {
	_, err := k.Write([]byte(s))
	return err
}

func (text) Release() {}

// snapshots returns an empty store, and a function that begins a snapshot in it.
func snapshots(t *testing.T) (*snapshotStore, func(index uint64) raft.SnapshotSink) {
	s, err := openSnapshots(hosttest.NewDisk(), "/raft", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s, func(index uint64) raft.SnapshotSink {
		k, err := s.Create(1, index, 4, raft.Configuration{}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
}

// The cluster's side of both is scenarios/overtaken-snapshots.yaml.
func TestAnOwnSnapshotFailsIfALaterOneWasInstalled(t *testing.T) {
	s, create := snapshots(t)
	mine := &own{FSMSnapshot: text("mine")}
	k := create(854)
	if err := mine.Persist(k); err != nil {
		t.Fatal(err)
	}
	if err := create(1011).Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); !errors.Is(err, errOvertaken) {
		t.Errorf("the error is %v", err)
	}
	mine.Release()
	if list, err := s.List(); err != nil || len(list) != 1 || list[0].Index != 1011 {
		t.Errorf("there are %v, %v", list, err)
	}
	if names, err := s.names(snapshotTemp); err != nil || len(names) > 0 {
		t.Errorf("%v are left, %v", names, err)
	}
	if err := create(1012).Close(); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestNoSnapshotIsInstalledUntilRaftKnowsOfAnOwnOne(t *testing.T) {
	s, create := snapshots(t)
	mine := &own{FSMSnapshot: text("mine")}
	k := create(854)
	if err := mine.Persist(k); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if s.naming.TryLock() {
		t.Error("another one may get its name")
	}
	mine.Release()
	if err := create(1011).Close(); err != nil {
		t.Error(err)
	}
}
