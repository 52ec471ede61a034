package gossip

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"tribune/impl/host"
)

// peers is the file with the addresses of the members last seen alive, as a
// JSON list.
type peers struct {
	fs   host.FS
	file string

	mu   sync.Mutex
	last []string
}

// save keeps the addresses. An empty list is not kept: an agent that lost sight
// of everybody needs the addresses most.
func (p *peers) save(addresses []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == "" || len(addresses) == 0 || slices.Equal(addresses, p.last) {
		return nil
	}
	b, err := json.Marshal(addresses)
	if err != nil {
		return err
	}
	if err := host.ReplaceFile(p.fs, p.file, b); err != nil {
		return err
	}
	p.last = addresses
	return nil
}

func (p *peers) load() ([]string, error) {
	if p.file == "" {
		return nil, nil
	}
	b, err := host.ReadFile(p.fs, p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var addresses []string
	if err := json.Unmarshal(b, &addresses); err != nil {
		return nil, fmt.Errorf("%s is corrupt: %w", p.file, err)
	}
	return addresses, nil
}
