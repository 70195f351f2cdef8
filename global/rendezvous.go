package global

// Which node serialises the claims of a name is decided by rendezvous hashing: each node is weighed against the name,
// and the heaviest is the arbiter. All who know the same nodes choose the same one, names spread evenly, and a node that
// comes or goes changes only the arbiters of the names that it is heaviest for.

// hash is FNV-1a of 64 bits.
func hash(s string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return h
}

// weight mixes the hashes of a node and a name. The constants are those of SplitMix64's finaliser.
func weight(node, name uint64) uint64 {
	x := node ^ name
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// arbiter returns the peer that serialises the claims of a name, nil for this node. Peers that do not answer in time
// are passed over, and so are those that the claim has tried.
func (c *core) arbiter(name string, tried []*peer) *peer {
	h := hash(name)
	var best *peer
	most, least := weight(c.hash, h), c.self.Name
	for _, p := range c.view {
		if p.behind || contains(tried, p) {
			continue
		}
		if w := weight(p.hash, h); w > most || w == most && p.id.Name < least {
			best, most, least = p, w, p.id.Name
		}
	}
	return best
}

func contains(list []*peer, p *peer) bool {
	for _, q := range list {
		if q == p {
			return true
		}
	}
	return false
}
