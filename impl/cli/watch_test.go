package cli_test

import "testing"

func TestWatchPrintsWhatIsThereOrRunsAHandler(t *testing.T) {
	t.Setenv("SHELL", "/bin/sh")
	self := `200 {"Config":{"NodeName":"n"}}`
	pair := `200 [{"Key":"a","Value":"MQ==","ModifyIndex":5}]`
	selfAsked := "GET /v1/agent/self"
	printed := "{\n    \"Key\": \"a\",\n    \"CreateIndex\": 0,\n    \"ModifyIndex\": 5,\n    \"LockIndex\": 0,\n    \"Flags\": 0,\n    \"Value\": \"MQ==\",\n    \"Session\": \"\"\n}\n"
	given := `{"Key":"a","CreateIndex":0,"ModifyIndex":5,"LockIndex":0,"Flags":0,"Value":"MQ==","Session":""}` + "\n"
	checkAll(t, []use{
		{line: "watch -type=key -key=a", answers: []string{self, pair}, asked: []string{selfAsked, "GET /v1/kv/a"}, stdout: printed},
		{line: "watch -type key -key a", answers: []string{self, "404 "}, asked: []string{selfAsked, "GET /v1/kv/a"}, stdout: "null\n"},
		{line: "watch -type key -key a -datacenter dc2 -token t -stale", answers: []string{self, pair}, asked: []string{selfAsked + "?dc=dc2 as t", "GET /v1/kv/a?dc=dc2&stale= as t"}, stdout: printed},
		{line: "watch -type keyprefix -prefix a/", answers: []string{self, "404 "}, asked: []string{selfAsked, "GET /v1/kv/a/?recurse="}, stdout: "null\n"},
		{line: "watch -type services", answers: []string{self, `200 {"web":["v1"]}`}, asked: []string{selfAsked, "GET /v1/catalog/services"}, stdout: "{\n    \"web\": [\n        \"v1\"\n    ]\n}\n"},
		{line: "watch -type nodes -filter x", answers: []string{self, `200 []`}, asked: []string{selfAsked, "GET /v1/catalog/nodes?filter=x"}, stdout: "[]\n"},
		{line: "watch -type service -service web -tag a -tag b -passingonly true", answers: []string{self, `200 []`}, asked: []string{selfAsked, "GET /v1/health/service/web?passing=1&tag=a&tag=b"}, stdout: "[]\n"},
		{line: "watch -type checks -state critical", answers: []string{self, `200 []`}, asked: []string{selfAsked, "GET /v1/health/state/critical"}, stdout: "[]\n"},
		{line: "watch -type event -name deploy", answers: []string{self, `200 []`}, asked: []string{selfAsked, "GET /v1/event/list?name=deploy"}, stdout: "[]\n"},

		{line: "watch -type key -key a cat; echo $CONSUL_INDEX after $CONSUL_PREVIOUS_INDEX; exit 3", answers: []string{self, pair}, asked: []string{selfAsked, "GET /v1/kv/a"},
			stdout: given + "7 after 0\n", status: 1, stderr: "Error! Executing handler: exit status 3\n"},
		{line: "watch -type key -key a -shell=false sh -ec false", answers: []string{self, pair}, asked: []string{selfAsked, "GET /v1/kv/a"}, status: 1, stderr: "Error! Executing handler: exit status 1\n"},
		{line: "watch -type key -key a -shell=false no-such-command", answers: []string{self, pair}, asked: []string{selfAsked, "GET /v1/kv/a"}, status: 1, stderr: "executable file not found"},

		{line: "watch", status: 1, stderr: "Error! Watch type must be specified\n"},
		{line: "watch -type nonsense", status: 1, stderr: "Error! Unsupported watch type: nonsense\n"},
		{line: "watch -type key", status: 1, stderr: "Error! Must specify a single key to watch\n"},
		{line: "watch -type nodes -key a", status: 1, stderr: "Error! Invalid parameters: [key]\n"},
		{line: "watch -type service -service web -passingonly maybe", status: 1, stderr: "Error! -passingonly: \"maybe\" is neither true nor false\n"},
		{line: "watch -type key -key a", answers: []string{"500 no leader"}, asked: []string{selfAsked}, status: 1, stderr: "Error! Querying agent: "},
	})
}
