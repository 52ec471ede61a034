package simnet

import "net/netip"

// Socket is a socket of a host, as a kernel would list it.
type Socket struct {
	Protocol string // "tcp" or "udp"
	State    string // "listen", "connecting", "answered", "established", "closed", "broken"; "open" of a datagram socket
	Local    string // "IP:PORT"
	Remote   string // the same of the other end, if there is one
	Peer     string // the host of the other end, if there is one
	Unread   int    // bytes that the program has not read yet; of a listener, streams it has not accepted
	Unsent   int    // bytes that the other end has not acknowledged yet
}

// Sockets lists the host's sockets: listeners, streams and datagram sockets, each
// by their ports.
func (s *Stack) Sockets() []Socket {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	var all []Socket
	for _, port := range sortedPorts(s.listeners) {
		for _, l := range s.listeners[port] {
			all = append(all, Socket{Protocol: "tcp", State: "listen", Local: l.local.String(), Unread: len(l.queue)})
		}
	}
	for _, c := range s.sortedConns() {
		all = append(all, Socket{
			Protocol: "tcp", State: c.describe(), Local: c.local.String(), Remote: c.remote.String(), Peer: c.peer.name,
			Unread: c.in.size, Unsent: len(c.out.data),
		})
	}
	for _, port := range sortedPorts(s.datagrams) {
		for _, c := range s.datagrams[port] {
			p := Socket{Protocol: "udp", State: "open", Local: c.local.String(), Unread: c.bytes}
			if c.peer.IsValid() {
				p.Remote, p.Peer = c.peer.String(), s.net.owner(c.peer.Addr())
			}
			all = append(all, p)
		}
	}
	return all
}

// owner is the name of the host that has an address.
func (n *Network) owner(a netip.Addr) string {
	if h := n.byAddr[a]; h != nil {
		return h.name
	}
	return ""
}

// describe is the state of a stream in words.
func (c *conn) describe() string {
	switch {
	case c.broken:
		return "broken"
	case c.shutDown:
		return "closed"
	case c.state == connecting:
		return "connecting"
	case c.state == answered:
		return "answered"
	}
	return "established"
}
