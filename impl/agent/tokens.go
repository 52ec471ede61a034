package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"

	"tribune/impl/fault"
	"tribune/impl/host"
)

// The tokens that an agent uses itself (Consul API: Agent, Update ACL Tokens).
const (
	tokenDefault      = "default"
	tokenAgent        = "agent"
	tokenRecovery     = "agent_recovery"
	tokenReplication  = "replication"
	tokenRegistration = "config_file_service_registration"
	tokenDNS          = "dns"
)

// tokenKinds has the names that the API takes, old ones too.
var tokenKinds = map[string]string{
	"default": tokenDefault, "acl_token": tokenDefault, "agent": tokenAgent, "acl_agent_token": tokenAgent,
	"agent_recovery": tokenRecovery, "agent_master": tokenRecovery, "acl_agent_master_token": tokenRecovery,
	"replication": tokenReplication, "acl_replication_token": tokenReplication,
	"config_file_service_registration": tokenRegistration, "dns": tokenDNS,
}

// tokens are kept in the data directory: a token that was set must not be lost
// over a restart.
type tokens struct {
	fs   host.FS
	file string

	mu  sync.Mutex
	set map[string]string
}

func loadTokens(fsys host.FS, dir string) (*tokens, error) {
	t := &tokens{fs: fsys, file: path.Join(dir, "acl-tokens.json"), set: map[string]string{}}
	b, err := host.ReadFile(fsys, t.file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &t.set)
	}
	if err != nil {
		return nil, fmt.Errorf("the tokens of this agent: %w", err)
	}
	return t, nil
}

func (t *tokens) get(kind string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.set[kind]
}

func (t *tokens) put(name, secret string) error {
	kind, ok := tokenKinds[name]
	if !ok {
		return fault.New(fault.NotFound, "Token %q is unknown", name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.set[kind]
	t.set[kind] = secret
	b, err := json.Marshal(t.set)
	if err == nil {
		err = host.ReplaceFile(t.fs, t.file, b)
	}
	if err != nil {
		t.set[kind] = was
		return fmt.Errorf("the token could not be kept: %w", err)
	}
	return nil
}
