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

// peers is the file with the addresses of the other members, as a JSON list, and
// beside it one with those from before the agent left, which nobody looks for unless
// a person wants that. It needs one caller at a time.
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

// beforeLeaving is appended to the file's name.
const beforeLeaving = ".left"

// load returns the addresses; with rejoin, if there are none, those from before the
// agent left.
func (p *peers) load(rejoin bool) (addresses []string, err error) {
	if p.file == "" {
		return nil, nil
	}
	if p.last, err = p.read(p.file); err != nil || len(p.last) > 0 || !rejoin {
		return p.last, err
	}
	return p.read(p.file + beforeLeaving)
}

func (p *peers) read(file string) ([]string, error) {
	b, err := host.ReadFile(p.fs, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	addresses, err := parsePeers(b)
	if err != nil {
		return nil, fmt.Errorf("%s is corrupt: %w", file, err)
	}
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

// forget empties the file; what was there is kept beside it.
func (p *peers) forget() error {
	if p.file != "" && len(p.last) > 0 {
		b, err := json.Marshal(p.last)
		if err != nil {
			return err
		}
		if err := host.ReplaceFile(p.fs, p.file+beforeLeaving, b); err != nil {
			return err
		}
	}
	return p.save([]string{})
}
