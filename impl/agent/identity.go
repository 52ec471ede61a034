package agent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"strings"

	"github.com/hashicorp/go-uuid"

	"tribune/impl/host"
)

// identify sets the node's ID: the one configured, or the one that the data
// directory keeps, made the first time.
func (a *Agent) identify(fsys host.FS) error {
	file := path.Join(a.config.DataDir, "node-id")
	b, err := host.ReadFile(fsys, file)
	kept := strings.TrimSpace(string(b))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("node_id: %w", err)
	default:
		if _, err := uuid.ParseUUID(kept); err != nil {
			return fmt.Errorf("node_id: %s is corrupt: %w", file, err)
		}
	}
	id := a.config.NodeID
	if id == "" {
		id = kept
	}
	if id == "" {
		if id, err = uuid.GenerateUUIDWithReader(rand.Reader); err != nil {
			return fmt.Errorf("node_id: %w", err)
		}
	}
	if _, err := uuid.ParseUUID(id); err != nil {
		return fmt.Errorf("node_id: %q is not a UUID", id)
	}
	a.config.NodeID = strings.ToLower(id)
	if a.config.NodeID == kept {
		return nil
	}
	return host.ReplaceFile(fsys, file, []byte(a.config.NodeID+"\n"))
}

func (a *Agent) advertise(h host.Host) (netip.Addr, error) {
	for _, text := range []string{a.config.AdvertiseAddr, a.config.BindAddr} {
		if text == "" {
			continue
		}
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return ip, err
		}
		if !ip.IsUnspecified() {
			return ip, nil
		}
	}
	found, err := h.Network().Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("advertise_addr: the host's addresses: %w", err)
	}
	if len(found) == 0 {
		return netip.Addr{}, errors.New("advertise_addr: this host has no address that others could reach; give -advertise")
	}
	return found[0], nil
}
