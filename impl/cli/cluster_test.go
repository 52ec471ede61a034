package cli_test

import (
	"runtime"
	"testing"

	"tribune/impl/agent"
)

// pool is a gossip pool in the order in which nobody should see it.
const pool = `200 [
{"Name":"web-1","Addr":"10.0.0.9","Port":8301,"Status":1,"Tags":{"role":"node","dc":"dc1","build":"1.22.0:0123abcd","vsn":"2"}},
{"Name":"s2","Addr":"10.0.0.2","Port":8301,"Status":4,"Tags":{"role":"consul","dc":"dc1","build":"0.1.0","vsn":"2","id":"b"}},
{"Name":"a-server-with-a-long-name","Addr":"fd00::1","Port":8301,"Status":1,"Tags":{"role":"consul","dc":"dc1","build":"0.1.0","vsn":"2","id":"a"}},
{"Name":"s3","Addr":"10.0.0.3","Port":8301,"Status":3,"Tags":{"role":"consul","dc":"dc1","build":"0.1.0","vsn":"2","id":"c"}}]`

func TestMembersAreListedServersFirst(t *testing.T) {
	all, asked := []string{pool}, []string{"GET /v1/agent/members?segment=_all"}
	checkAll(t, []use{
		{line: "members", answers: all, asked: asked, stdout: "@members.txt"},
		{line: "members -detailed", answers: all, asked: asked, stdout: "@members-detailed.txt"},
		{line: "members -status=alive|left", answers: all, asked: asked, stdout: "@members-status.txt"},
		{line: "members -status=fail", answers: all, asked: asked, stdout: "@members-failed.txt"}, // anywhere in the status
		{line: "members -status=leaving", answers: all, asked: asked, status: 2},
		{line: "members -status=(", status: 1, stderr: "Error! Compiling the status expression: "},
		{line: "members -wan", answers: all, asked: []string{"GET /v1/agent/members?segment=_all&wan=1"}, stdout: "@members.txt"},
		{line: "members -filter Name==s1", answers: all, asked: []string{"GET /v1/agent/members?filter=Name%3D%3Ds1&segment=_all"}, stdout: "@members.txt"},
		{line: "members", answers: []string{"500 broken"}, asked: asked, status: 1, stderr: "Error! Retrieving members: "},
	})
}

func TestJoinCountsWhoAnswered(t *testing.T) {
	both := []string{"PUT /v1/agent/join/10.0.0.1", "PUT /v1/agent/join/10.0.0.2:8301"}
	checkAll(t, []use{
		{line: "join 10.0.0.1 10.0.0.2:8301", asked: both, stdout: "Successfully joined cluster by contacting 2 nodes.\n"},
		{line: "join 10.0.0.1 10.0.0.2:8301", answers: []string{"500 refused"}, asked: both,
			stdout: "Successfully joined cluster by contacting 1 nodes.\n", stderr: "Error joining address '10.0.0.1': "},
		{line: "join 10.0.0.1 10.0.0.2:8301", answers: []string{"500 refused", "500 refused"}, asked: both, status: 1, stderr: "Error! Failed to join any nodes\n"},
		{line: "join -wan 10.0.0.1", asked: []string{"PUT /v1/agent/join/10.0.0.1?wan=1"}, stdout: "Successfully joined cluster by contacting 1 nodes.\n"},
		{line: "join", status: 1, stderr: "Error! At least one address to join must be specified\n"},
	})
}

func TestLeaveAndForceLeaveTellTheAgent(t *testing.T) {
	checkAll(t, []use{
		{line: "leave", asked: []string{"PUT /v1/agent/leave"}, stdout: "Graceful leave complete\n"},
		{line: "leave now", status: 1, stderr: "Error! Too many arguments (expected 0, got 1)\n"},
		{line: "leave", answers: []string{"500 no"}, asked: []string{"PUT /v1/agent/leave"}, status: 1, stderr: "Error! Leaving: "},
		{line: "force-leave s3", asked: []string{"PUT /v1/agent/force-leave/s3"}},
		{line: "force-leave -prune s3", asked: []string{"PUT /v1/agent/force-leave/s3?prune=1"}},
		{line: "force-leave", status: 1, stderr: "Error! A single node name must be specified to force leave\n"},
		{line: "force-leave s2 s3", status: 1, stderr: "Error! A single node name must be specified to force leave\n"},
		{line: "force-leave nobody", answers: []string{"500 No node found with name 'nobody'"}, asked: []string{"PUT /v1/agent/force-leave/nobody"},
			status: 1, stderr: "Error! Force leaving: Unexpected response code: 500 (No node found with name 'nobody')\n"},
	})
}

func TestInfoPrintsTheFiguresSorted(t *testing.T) {
	asked := []string{"GET /v1/agent/self"}
	checkAll(t, []use{
		{line: "info", asked: asked, stdout: "@info.txt", answers: []string{
			`200 {"Config":{"NodeName":"s1"},"Stats":{"raft":{"term":"2","state":"Leader","applied_index":"17"},"build":{"version":"0.1.0"},"consul":{"server":"true"}}}`}},
		{line: "info", answers: []string{"500 broken"}, asked: asked, status: 1, stderr: "Error! Querying agent: "},
	})
}

func TestVersionAsksNobody(t *testing.T) {
	checkAll(t, []use{
		{line: "version", stdout: "Tribune v" + agent.Version + "\nProtocol 2 spoken by default, understands 2 to 3 (Consul's)\nGo " + runtime.Version() + "\n"},
		{line: "version -format=json", stdout: `{
    "Version": "` + agent.Version + `",
    "Revision": "",
    "Prerelease": "",
    "BuildDate": "",
    "RPC": {
        "Default": 2,
        "Min": 2,
        "Max": 3
    }
}
`},
		{line: "version -format=xml", status: 1, stderr: "\"xml\" is neither pretty nor json"},
	})
}
