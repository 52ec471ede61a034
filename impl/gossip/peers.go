package gossip

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"tribune/impl/host"
)

// peers is the file with the addresses of the other members, as a JSON list. It
// needs one caller at a time.
type peers struct {
	fs   host.FS
	file string // "": nothing is kept
	last []string
}

func (p *peers) save(addresses []string) error {
	if p.file == "" || slices.Equal(addresses, p.last) {
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
	addresses, err := parsePeers(b)
	if err != nil {
		return nil, fmt.Errorf("%s is corrupt: %w", p.file, err)
	}
	p.last = addresses
	return addresses, nil
}

func parsePeers(b []byte) ([]string, error) {
	var addresses []string
	if err := json.Unmarshal(b, &addresses); err != nil {
		return nil, err
	}
	for _, a := range addresses {
		if _, err := netip.ParseAddrPort(a); err != nil {
			return nil, err
		}
	}
	return addresses, nil
}

// forget empties the file.
func (p *peers) forget() error { return p.save([]string{}) }
