package httpapi_test

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	capi "github.com/hashicorp/consul/api"
)

// put sends a body of JSON to the whole API.
func put(target, body string) *httptest.ResponseRecorder {
	method, path, _ := strings.Cut(target, " ")
	w := httptest.NewRecorder()
	handler(nil).ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func TestAKeyThatNobodyKnowsIsRefused(t *testing.T) {
	for _, c := range []struct{ target, body, want string }{
		{"PUT /v1/catalog/register", `{"Node": "n", "Adress": "a"}`, "Adress"},
		{"PUT /v1/catalog/register", `{"Node": "n", "Service": {"Service": "s", "Prot": 80}}`, "Prot"},
		{"PUT /v1/catalog/register", `{"Node": "n", "Service": {"Service": "s", "TaggedAddresses": {"lan": {"IP": "a"}}}}`, "IP"},
		{"PUT /v1/catalog/register", `{"Node": "n", "Checks": [{"Name": "a"}, {"State": "passing"}]}`, "State"},
		{"PUT /v1/catalog/register", `{"Node": "n", "WriteOptions": {}}`, "WriteOptions"},
		{"PUT /v1/catalog/register", `{"Node": "n", "KeepMeta": true}`, "KeepMeta"},
		{"PUT /v1/catalog/deregister", `{"Node": "n", "SeviceID": "s"}`, "SeviceID"},
		{"PUT /v1/agent/service/register", `{"Name": "web", "Cheks": []}`, "Cheks"},
		{"PUT /v1/agent/service/register", `{"Name": "web", "Meta": {"any": "key"}, "Port_": 1, "Prot": 80}`, "Prot"},
		{"PUT /v1/agent/check/register", `{"Name": "c", "Time_To_Live": "1s"}`, "Time_To_Live"},
		{"PUT /v1/agent/check/update/c", `{"Status": "passing", "Note": "x"}`, "Note"},
		{"PUT /v1/agent/token/default", `{"Tokn": "x"}`, "Tokn"},
		{"PUT /v1/coordinate/update", `{"Node": "n", "Coord": {"Hight": 1}}`, "Hight"},
		{"POST /v1/query", `{"Name": "q", "Service": {"Service": "s", "OnlyPasing": true}}`, "OnlyPasing"},
		{"PUT /v1/query/q", `{"Name": "q", "Service": {"Service": "s", "Failover": {"Targets": [{"Dc": "x"}]}}}`, "Dc"},
	} {
		w := put(c.target, c.body)
		if want := `Request decode failed: json: unknown field "` + c.want + `"`; w.Code != 400 || w.Body.String() != want {
			t.Errorf("%s %s: %d %s; want %s", c.target, c.body, w.Code, w.Body, want)
		}
	}
	w := put("PUT /v1/txn", `[{"KV": {"Verb": "set", "Key": "a", "Flag": 1}}]`)
	if w.Code != 400 || w.Body.String() != `Failed to parse body: json: unknown field "Flag"` {
		t.Errorf("a transaction: %d %s", w.Code, w.Body)
	}
}

func TestKeysThatConsulTakesAreTaken(t *testing.T) {
	for _, c := range []struct{ target, body string }{
		{"PUT /v1/session/create", `{"Nam": "any", "ServiceChecks": [{"Id": "c"}]}`}, // of a session it takes everything
		{"PUT /v1/catalog/register", `{"node": "n", "ADDRESS": "a", "check": {"Definition": {"any": 1, "TTL": "1s"}}, "nodemeta": {"any": "x"}}`},
		{"PUT /v1/agent/service/register", `{"name": "web", "enable_tag_override": true, "check": {"args": ["x"], "deregister_critical_service_after": "1m"}}`},
	} {
		if w := put(c.target, c.body); w.Code != 200 {
			t.Errorf("%s %s: %d %s", c.target, c.body, w.Code, w.Body)
		}
	}
}

// TestEveryFieldOfTheOfficialClientIsTaken sends what the client may send, with
// something in each field.
func TestEveryFieldOfTheOfficialClientIsTaken(t *testing.T) {
	for _, c := range []struct {
		target string
		body   any
	}{
		{"PUT /v1/catalog/register", &capi.CatalogRegistration{}},
		{"PUT /v1/catalog/deregister", &capi.CatalogDeregistration{}},
		{"PUT /v1/session/create", &capi.SessionEntry{}},
		{"PUT /v1/txn", &capi.TxnOps{}},
		{"PUT /v1/coordinate/update", &capi.CoordinateEntry{}},
		{"POST /v1/query", &capi.PreparedQueryDefinition{}},
		{"PUT /v1/agent/service/register", &capi.AgentServiceRegistration{}},
		{"PUT /v1/agent/check/register", &capi.AgentCheckRegistration{}},
		{"PUT /v1/agent/token/default", &capi.AgentToken{}},
	} {
		fill(reflect.ValueOf(c.body).Elem(), 8)
		body, err := json.Marshal(c.body)
		if err != nil {
			t.Fatal(err)
		}
		// It makes no sense with so much in it, and may be refused for that; but the
		// kind of a service is refused before anything else is read.
		text := strings.NewReplacer(`"Kind":"1s"`, `"Kind":""`, `"DockerContainerID":"1s"`, `"DockerContainerID":""`).Replace(string(body))
		if w := put(c.target, text); w.Code == 413 || strings.Contains(w.Body.String(), "decode failed") || strings.Contains(w.Body.String(), "parse body") {
			t.Errorf("%s: %d %s\n%s", c.target, w.Code, w.Body, text)
		}
	}
}

// fill puts something into every field of a value, down to a depth.
func fill(v reflect.Value, depth int) {
	if depth == 0 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth-1)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), depth-1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth-1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth-1)
		fill(value, depth-1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("1s") // a duration, too
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1)
	}
}
