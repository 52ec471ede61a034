package consensus

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

// The cluster's side of it is snapshots-and-watches, seed 4.
func TestADeposedLeaderSendsNoSnapshotOfALaterTerm(t *testing.T) {
	late := raft.InstallSnapshotRequest{Term: 4, LastLogTerm: 5, LastLogIndex: 1337}
	if err := (oneLane{}).InstallSnapshot("s3", "10.0.0.3:8300", &late, nil, nil); !errors.Is(err, errDeposed) {
		t.Errorf("the error is %v", err)
	}
}
