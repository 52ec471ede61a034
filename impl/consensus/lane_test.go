package consensus

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

// The cluster's side of it is snapshots-and-watches, seed 4, and bit-rot, seed 2.
func TestOnlyALeaderSendsASnapshotAndOnlyOfItsTime(t *testing.T) {
	for name, r := range map[string]raft.InstallSnapshotRequest{
		"of a later term":          {Term: 4, LastLogTerm: 5, LastLogIndex: 1337},
		"of one that leads nobody": {Term: 4, LastLogTerm: 4, LastLogIndex: 1337},
	} {
		lane := oneLane{node: &Node{log: &guard{}}}
		if err := lane.InstallSnapshot("s3", "10.0.0.3:8300", &r, nil, nil); !errors.Is(err, errNoSnapshot) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}
