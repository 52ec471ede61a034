package api

import (
	"encoding/json"
	"time"
)

// HealthCheckDefinition says how a check is carried out, for whoever carries out
// those that are registered in the catalog (Consul API: Catalog, Register). Of
// Consul's fields those that its Go client has, and some more; others are not kept.
type HealthCheckDefinition struct {
	HTTP                           string              `json:",omitempty"`
	TLSServerName                  string              `json:",omitempty"`
	TLSSkipVerify                  bool                `json:",omitempty"`
	Header                         map[string][]string `json:",omitempty"`
	Method                         string              `json:",omitempty"`
	Body                           string              `json:",omitempty"`
	DisableRedirects               bool                `json:",omitempty"`
	TCP                            string              `json:",omitempty"`
	TCPUseTLS                      bool                `json:",omitempty"`
	UDP                            string              `json:",omitempty"`
	H2PING                         string              `json:",omitempty"`
	H2PingUseTLS                   bool                `json:",omitempty"`
	GRPC                           string              `json:",omitempty"`
	GRPCUseTLS                     bool                `json:",omitempty"`
	OSService                      string              `json:",omitempty"`
	Interval                       Duration            `json:",omitempty"`
	Timeout                        Duration            `json:",omitempty"`
	DeregisterCriticalServiceAfter Duration            `json:",omitempty"`
}

// Duration is a time that JSON shows as text such as "10s", and takes as such text
// or as a number of nanoseconds.
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, (*int64)(d)) == nil {
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil || text == "" {
		return err
	}
	parsed, err := time.ParseDuration(text)
	*d = Duration(parsed)
	return err
}

// Spell is a time for which a check has been critical without a pause. It is kept of
// checks whose definition says after how long their service goes.
type Spell struct {
	Since  uint64        // raft index at which it began; 0: the check is not critical
	Lasted time.Duration // as the leaders have seen it so far
}

// SpellNote is what the leader has to say of a spell that it watches.
type SpellNote struct {
	Node    string
	CheckID string
	Spell   Spell
	Over    bool // it has lasted long enough: the service is to go
}

// SpellRequest has notes committed. Those of spells that are over by then say
// nothing any more.
type SpellRequest struct {
	Notes []SpellNote
}
