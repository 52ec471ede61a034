//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/consul/api"
)

// upstream is what people have nginx include.
const upstream = `upstream web {
{{- range service "web" }}
  server {{ .Address }}:{{ .Port }} weight={{ .Weights.Passing }};
{{- else }}
  server 127.0.0.1:65535;
{{- end }}
}
# {{ keyOrDefault "web/motto" "none" }}
{{- range nodes }}
# {{ .Node }}
{{- end }}
`

func TestConsulTemplateFollowsAService(t *testing.T) {
	binary, dir := built(t, "consul-template", "github.com/hashicorp/consul-template"), t.TempDir()
	source, target := filepath.Join(dir, "web.ctmpl"), filepath.Join(dir, "web.conf")
	c := startCluster(t, "", "")
	ok(t, os.WriteFile(source, []byte(upstream), 0o600))
	start(t, binary, "-consul-addr", c.client.address(), "-template", source+":"+target, "-log-level", "info")
	shows := func(when, servers, rest string) {
		t.Helper()
		want := "upstream web {\n" + servers + "}\n" + rest
		eventually(t, when, func() error {
			text, err := os.ReadFile(target)
			if err == nil && string(text) != want {
				err = fmt.Errorf("%s\nwant\n%s", text, want)
			}
			return err
		})
	}
	both, nobody := "# none\n# c1\n# s1\n", "  server 127.0.0.1:65535;\n"
	shows("at the start", nobody, both)

	own := c.client.Agent()
	for i := range 2 {
		id := fmt.Sprintf("web-%d", i)
		ok(t, own.ServiceRegister(&api.AgentServiceRegistration{
			ID: id, Name: "web", Port: 8080 + i, Weights: &api.AgentWeights{Passing: 1 + i, Warning: 1},
			Check: &api.AgentServiceCheck{CheckID: id, TTL: "1h", Status: api.HealthPassing},
		}))
	}
	first, second := "  server 127.0.0.1:8080 weight=1;\n", "  server 127.0.0.1:8081 weight=2;\n"
	shows("two are registered", first+second, both)
	ok(t, own.UpdateTTL("web-0", "", api.HealthCritical))
	shows("the first is critical", second, both)
	ok(t, own.UpdateTTL("web-0", "", api.HealthPassing))
	shows("the first is well again", first+second, both)
	ok(t, own.ServiceDeregister("web-1"))
	shows("the second is gone", first, both)
	_, err := c.client.KV().Put(&api.KVPair{Key: "web/motto", Value: []byte("festina lente")}, nil)
	ok(t, err)
	shows("a key is written", first, "# festina lente\n# c1\n# s1\n")
	ok(t, own.ServiceDeregister("web-0"))
	shows("both are gone", nobody, "# festina lente\n# c1\n# s1\n")
}
