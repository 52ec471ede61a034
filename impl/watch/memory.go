package watch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"tribune/impl/host"
)

// memory is what handlers saw last, in a file that outlives the agent.
type memory struct {
	mu   sync.Mutex
	fs   host.FS
	file string // "": nothing outlives the agent
	seen map[string]Seen
}

// load reads the file. After an error nothing is remembered.
func (m *memory) load() error {
	m.seen = map[string]Seen{}
	if m.file == "" {
		return nil
	}
	b, err := host.ReadFile(m.fs, m.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &m.seen); err != nil {
		m.seen = map[string]Seen{}
		return fmt.Errorf("%s is corrupt: %w", m.file, err)
	}
	if m.seen == nil { // JSON's null
		m.seen = map[string]Seen{}
	}
	return nil
}

func (m *memory) last(id string) Seen {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen[id]
}

func (m *memory) put(id string, s Seen) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[id] = s
	return m.save()
}

// forget drops what is not in keep.
func (m *memory) forget(keep map[string]bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.seen)
	for id := range m.seen {
		if !keep[id] {
			delete(m.seen, id)
		}
	}
	if len(m.seen) == before {
		return nil
	}
	return m.save()
}

func (m *memory) save() error {
	if m.file == "" {
		return nil
	}
	b, err := json.Marshal(m.seen)
	if err != nil {
		return err
	}
	return host.ReplaceFile(m.fs, m.file, append(b, '\n'))
}
