package httpapi

import (
	"net/http"
	"net/netip"
	"strings"

	"tribune/impl/api"
)

// source reads from where a request wants to be near: ?near names a node, which
// _agent is this agent's.
func source(r *http.Request, a Agent) api.Source {
	from := api.Source{Node: r.URL.Query().Get("near"), IP: clientIP(r)}
	if from.Node == api.NearAgent {
		from.Node = a.Identity().NodeName
	}
	return from
}

// clientIP is the address of whom a request is from, as the first proxy on its
// way tells it, empty if it cannot be told.
func clientIP(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
	if ip, err := netip.ParseAddr(strings.TrimSpace(first)); err == nil {
		return ip.Unmap().String()
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return peer.Addr().Unmap().String()
	}
	return ""
}
