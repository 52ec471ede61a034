package gossip

// ParsePeers is parsePeers, for its fuzz test.
func ParsePeers(b []byte) ([]string, error) { return parsePeers(b) }
