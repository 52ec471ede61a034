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

// advertise returns the address that others are told: the one configured, that the agent
// is bound to, or the only one of the machine that comes into question.
func (a *Agent) advertise(h host.Host) (netip.Addr, error) {
	six := false
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
		six = ip.Is6()
	}
	found, err := h.Network().Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("advertise_addr: the host's addresses: %w", err)
	}
	family := "IPv4"
	if six {
		family = "IPv6"
	}
	switch of := candidates(found, six); len(of) {
	case 0:
		return netip.Addr{}, fmt.Errorf("advertise_addr: this host has no %s address that others could reach: give -bind or -advertise", family)
	case 1:
		return of[0], nil
	default:
		return netip.Addr{}, fmt.Errorf("advertise_addr: others could reach this host at several %s addresses, %v: choose one with -bind or -advertise", family, of)
	}
}

// candidates are the addresses that an agent may advertise which listens at all of a
// family: of IPv4 the private ones, of IPv6 the public ones, and all if there are none
// such (Consul documentation: Agents Command-line Reference, -bind; it knows no others).
func candidates(found []netip.Addr, six bool) []netip.Addr {
	var best, others []netip.Addr
	for _, a := range found {
		switch {
		case a.Is6() != six:
		case a.IsPrivate() != six:
			best = append(best, a)
		default:
			others = append(others, a)
		}
	}
	if len(best) > 0 {
		return best
	}
	return others
}
