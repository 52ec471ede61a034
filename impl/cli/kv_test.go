package cli_test

import (
	"os"
	"path/filepath"
	"testing"
)

// tree is what the API answers for a prefix.
const tree = `200 [
{"LockIndex":0,"Key":"app/bin","Flags":0,"Value":"AAH/","CreateIndex":12,"ModifyIndex":12},
{"LockIndex":0,"Key":"app/empty","Flags":0,"Value":null,"CreateIndex":13,"ModifyIndex":13},
{"LockIndex":3,"Key":"app/name","Flags":42,"Value":"d2Vi","Session":"adf4238a-882b-9ddc-4a9d-5b6758e4159e","CreateIndex":11,"ModifyIndex":1234}]`

func TestKVGetPrintsWhatIsThere(t *testing.T) {
	name := []string{`200 [{"Key":"app/name","Flags":42,"Value":"d2Vi","CreateIndex":11,"ModifyIndex":1234}]`}
	asked := []string{"GET /v1/kv/app/name"}
	checkAll(t, []use{
		{line: "kv get app/name", answers: name, asked: asked, stdout: "web\n"},
		{line: "kv get /app/name", answers: name, asked: asked, stdout: "web\n"},
		{line: "kv get -base64 app/name", answers: name, asked: asked, stdout: "d2Vi\n"},
		{line: "kv get -detailed app/name", answers: name, asked: asked, stdout: "@get-detailed.txt"},
		{line: "kv get -consistent app/name", answers: name, asked: []string{"GET /v1/kv/app/name?consistent="}, stdout: "web\n"},
		{line: "kv get app/empty", answers: []string{`200 [{"Key":"app/empty","Value":null}]`}, asked: []string{"GET /v1/kv/app/empty"}, stdout: "\n"},
		{line: "kv get none", answers: []string{"404 "}, asked: []string{"GET /v1/kv/none"}, status: 1, stderr: "Error! No key exists at: none\n"},
		{line: "kv get broken", answers: []string{"500 No cluster leader"}, asked: []string{"GET /v1/kv/broken"}, status: 1, stderr: "500 (No cluster leader)"},
		{line: "kv get", status: 1, stderr: "Error! Missing KEY argument\n"},
		{line: "kv get /", status: 1, stderr: "Error! Missing KEY argument\n"},
		{line: "kv get a b", status: 1, stderr: "Error! Too many arguments (expected 1, got 2)\n"},
	})
}

func TestKVGetPrintsTrees(t *testing.T) {
	asked := []string{"GET /v1/kv/app/?recurse="}
	checkAll(t, []use{
		{line: "kv get -recurse app/", answers: []string{tree}, asked: asked, stdout: "app/bin:\x00\x01\xff\napp/empty:\napp/name:web\n"},
		{line: "kv get -recurse -base64 app/", answers: []string{tree}, asked: asked, stdout: "app/bin:AAH/\napp/empty:\napp/name:d2Vi\n"},
		{line: "kv get -recurse -detailed -base64 app/", answers: []string{tree}, asked: asked, stdout: "@get-recurse-detailed.txt"},
		{line: "kv get -recurse", answers: []string{tree}, asked: []string{"GET /v1/kv/?recurse="}, stdout: "app/bin:\x00\x01\xff\napp/empty:\napp/name:web\n"},
		{line: "kv get -recurse none/", answers: []string{"404 "}, asked: []string{"GET /v1/kv/none/?recurse="}},
		{line: "kv get -keys", answers: []string{`200 ["app/","web"]`}, asked: []string{"GET /v1/kv/?keys=&separator=%2F"}, stdout: "app/\nweb\n"},
		{line: "kv get -keys app/", answers: []string{`200 ["app/name","app/sub/"]`}, asked: []string{"GET /v1/kv/app/?keys=&separator=%2F"}, stdout: "app/name\napp/sub/\n"},
		{line: "kv get -keys -separator= app", answers: []string{`200 ["app/sub/deep"]`}, asked: []string{"GET /v1/kv/app?keys="}, stdout: "app/sub/deep\n"},
		{line: "kv get -keys -separator=- a", answers: []string{`200 ["a-"]`}, asked: []string{"GET /v1/kv/a?keys=&separator=-"}, stdout: "a-\n"},
		{line: "kv get -keys none", answers: []string{"404 "}, asked: []string{"GET /v1/kv/none?keys=&separator=%2F"}},
	})
}

func TestKVPutTakesItsDataFromTheLineAFileOrStdin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	done, written := []string{"200 true"}, "Success! Data written to: a\n"
	checkAll(t, []use{
		{line: "kv put a 5", answers: done, asked: []string{"PUT /v1/kv/a 5"}, stdout: written},
		{line: "kv put /a 5", answers: done, asked: []string{"PUT /v1/kv/a 5"}, stdout: written},
		{line: "kv put a", answers: done, asked: []string{"PUT /v1/kv/a"}, stdout: written},
		{line: "kv put a ''", answers: done, asked: []string{"PUT /v1/kv/a"}, stdout: written},
		{line: "kv put a -", stdin: "from stdin\n", answers: done, asked: []string{"PUT /v1/kv/a from stdin\n"}, stdout: written},
		{line: "kv put a -5", answers: done, asked: []string{"PUT /v1/kv/a -5"}, stdout: written},
		{line: "kv put a @" + file, answers: done, asked: []string{"PUT /v1/kv/a from a file\n"}, stdout: written},
		{line: "kv put a @" + file + ".none", status: 1, stderr: "Error! Failed to read file: "},
		{line: "kv put -base64 a d2Vi", answers: done, asked: []string{"PUT /v1/kv/a web"}, stdout: written},
		{line: "kv put -base64 a -", stdin: "d2Vi\n", answers: done, asked: []string{"PUT /v1/kv/a web"}, stdout: written},
		{line: "kv put -base64 a d2V", status: 1, stderr: "Error! Cannot base 64 decode data: "},
		{line: "kv put -acquire -session=s a 5", answers: done, asked: []string{"PUT /v1/kv/a?acquire=s 5"}, stdout: "Success! Lock acquired on: a\n"},
		{line: "kv put -acquire -session=s a 5", answers: []string{"200 false"}, asked: []string{"PUT /v1/kv/a?acquire=s 5"}, status: 1, stderr: "Error! Did not acquire lock\n"},
		{line: "kv put -release -session=s a", answers: done, asked: []string{"PUT /v1/kv/a?release=s"}, stdout: "Success! Lock released on: a\n"},
		{line: "kv put -release -session=s a", answers: []string{"200 false"}, asked: []string{"PUT /v1/kv/a?release=s"}, status: 1, stderr: "Error! Did not release lock\n"},
		{line: "kv put -acquire a 5", status: 1, stderr: "Error! Missing -session (required with -acquire and -release)\n"},
		{line: "kv put -flags=42 a 5", answers: done, asked: []string{"PUT /v1/kv/a?flags=42 5"}, stdout: written},
		{line: "kv put -flags=-1 a 5", status: 1, stderr: `invalid value "-1" for flag -flags`},
		{line: "kv put", status: 1, stderr: "Error! Missing KEY argument\n"},
		{line: "kv put a b c", status: 1, stderr: "Error! Too many arguments (expected 1 or 2, got 3)\n"},
		{line: "kv put a 5", answers: []string{"413 too large"}, asked: []string{"PUT /v1/kv/a 5"}, status: 1, stderr: "Error! Failed writing data: "},
	})
}

func TestKVWritesThatCheckFailWhenTheKeyIsAnother(t *testing.T) {
	done, refused := []string{"200 true"}, []string{"200 false"}
	checkAll(t, []use{
		{line: "kv put -cas -modify-index=844 -flags=1 a 5", answers: done, asked: []string{"PUT /v1/kv/a?cas=844&flags=1 5"}, stdout: "Success! Data written to: a\n"},
		{line: "kv put -cas -modify-index=844 a 5", answers: refused, asked: []string{"PUT /v1/kv/a?cas=844 5"}, status: 1, stderr: "Error! Did not write to a: CAS failed\n"},
		{line: "kv put -cas a 5", answers: done, asked: []string{"PUT /v1/kv/a?cas=0 5"}, stdout: "Success! Data written to: a\n"},
		{line: "kv put -cas a 5", answers: refused, asked: []string{"PUT /v1/kv/a?cas=0 5"}, status: 1, stderr: "Error! Did not write to a: CAS performed with index=0 and key already exists"},
		{line: "kv put -cas -modify-index=1 a 5", answers: []string{"500 no leader"}, asked: []string{"PUT /v1/kv/a?cas=1 5"}, status: 1, stderr: "Error! Did not write to a: "},
		{line: "kv delete -cas -modify-index=844 a", answers: done, asked: []string{"DELETE /v1/kv/a?cas=844"}, stdout: "Success! Deleted key: a\n"},
		{line: "kv delete -cas -modify-index=844 a", answers: refused, asked: []string{"DELETE /v1/kv/a?cas=844"}, status: 1, stderr: "Error! Did not delete key a: CAS failed\n"},
		{line: "kv delete -cas a", status: 1, stderr: "Error! Must specify -modify-index with -cas\n"},
		{line: "kv delete -modify-index=844 a", status: 1, stderr: "Error! Cannot specify -modify-index without -cas\n"},
		{line: "kv delete -cas -recurse -modify-index=844 a", status: 1, stderr: "Error! Cannot specify both -cas and -recurse\n"},
	})
}

func TestKVDeleteTakesAKeyOrATree(t *testing.T) {
	done := []string{"200 true"}
	checkAll(t, []use{
		{line: "kv delete a", answers: done, asked: []string{"DELETE /v1/kv/a"}, stdout: "Success! Deleted key: a\n"},
		{line: "kv delete /a", answers: done, asked: []string{"DELETE /v1/kv/a"}, stdout: "Success! Deleted key: a\n"},
		{line: "kv delete -recurse app/", answers: done, asked: []string{"DELETE /v1/kv/app/?recurse="}, stdout: "Success! Deleted keys with prefix: app/\n"},
		{line: "kv delete -recurse /", answers: done, asked: []string{"DELETE /v1/kv/?recurse="}, stdout: "Success! Deleted keys with prefix: \n"},
		{line: "kv delete", status: 1, stderr: "Error! Missing KEY argument\n"},
		{line: "kv delete /", status: 1, stderr: "Error! Missing KEY argument\n"},
		{line: "kv delete a", answers: []string{"500 no leader"}, asked: []string{"DELETE /v1/kv/a"}, status: 1, stderr: "Error! Deleting key a: "},
		{line: "kv delete -recurse a", answers: []string{"500 no leader"}, asked: []string{"DELETE /v1/kv/a?recurse="}, status: 1, stderr: "Error! Did not delete prefix a: "},
	})
}

func TestWhatKVExportPrintsKVImportTakes(t *testing.T) {
	exported := filepath.Join("testdata", "export.json")
	b, err := os.ReadFile(exported)
	if err != nil && !*rewrite {
		t.Fatal(err)
	}
	puts := []string{"PUT /v1/kv/app/bin \x00\x01\xff", "PUT /v1/kv/app/empty", "PUT /v1/kv/app/name?flags=42 web"}
	done := []string{"200 true", "200 true", "200 true"}
	imported := "Imported: app/bin\nImported: app/empty\nImported: app/name\n"
	checkAll(t, []use{
		{line: "kv export app/", answers: []string{tree}, asked: []string{"GET /v1/kv/app/?recurse="}, stdout: "@export.json"},
		{line: "kv export -stale", answers: []string{tree}, asked: []string{"GET /v1/kv/?recurse=&stale="}, stdout: "@export.json"},
		{line: "kv export none", answers: []string{"404 "}, asked: []string{"GET /v1/kv/none?recurse="}, stdout: "[]\n"},
		{line: "kv export a b", status: 1, stderr: "Error! Too many arguments (expected 1, got 2)\n"},
		{line: "kv import @" + exported, answers: done, asked: puts, stdout: imported},
		{line: "kv import -", stdin: string(b), answers: done, asked: puts, stdout: imported},
		{line: "kv import [{\"key\":\"a\",\"value\":null}]", asked: []string{"PUT /v1/kv/a"}, answers: done, stdout: "Imported: a\n"},
		{line: "kv import -prefix /old/ [{\"key\":\"a/\"}]", asked: []string{"PUT /v1/kv/old/a/"}, answers: done, stdout: "Imported: old/a/\n"},
		{line: "kv import -prefix old [{\"key\":\"a\"}]", asked: []string{"PUT /v1/kv/old/a"}, answers: done, stdout: "Imported: old/a\n"},
		{line: "kv import no-JSON", status: 1, stderr: "Error! Cannot unmarshal data: "},
		{line: "kv import [{\"key\":\"a\",\"value\":\"?\"}]", status: 1, stderr: "Error! Cannot unmarshal data: illegal base64"},
		{line: "kv import", status: 1, stderr: "Error! Expected DATA, got 0 arguments\n"},
		// What was imported before the failure is said.
		{line: "kv import -", stdin: string(b), answers: []string{"200 true", "500 no leader"}, asked: puts[:2], status: 1,
			stdout: "Imported: app/bin\n", stderr: "Error! Failed writing data for key app/empty: "},
	})
}
