package pg

import (
	"fmt"
	"math/rand/v2"

	"github.com/kith-mesh/kith/process"
)

// Strategy says which member of a group PickLocal and PickAny choose. The zero value is RoundRobin.
type Strategy struct {
	kind strategyKind
	key  string
}

type strategyKind uint8

const (
	byTurn strategyKind = iota
	byChance
	byKey
)

// RoundRobin takes the members in turn. The turns are this node's own; all who pick from the group here share them.
func RoundRobin() Strategy { return Strategy{kind: byTurn} }

// Random takes any member, each with the same chance.
func Random() Strategy { return Strategy{kind: byChance} }

// ByKey takes the same member for the same key, on every node that sees the same members, as long as that member is
// there; when members come or go, only the keys of the new and the gone ones move (rendezvous hashing). It looks at
// every member.
func ByKey(key string) Strategy { return Strategy{kind: byKey, key: key} }

// PickLocal chooses a member of a group on this node, to hand it a piece of work. With RoundRobin and Random a process
// that joined twice is chosen twice as often. The error is ErrNoMember.
func (s *Scope) PickLocal(group string, by Strategy) (process.PID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.table.groups[group]
	sh := g.share(s.table.self)
	if sh == nil {
		return process.PID{}, fmt.Errorf("%w on this node: %q", ErrNoMember, group)
	}
	return g.pick([]*share{sh}, by, rand.Uint64()), nil
}

// PickAny chooses a member of a group on any node, but on none that is about to leave (see node.Node.Drain) while there is
// another. With RoundRobin and Random a process that joined twice is chosen twice as often. The error is ErrNoMember.
func (s *Scope) PickAny(group string, by Strategy) (process.PID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.table.groups[group]
	if g == nil {
		return process.PID{}, fmt.Errorf("%w: %q", ErrNoMember, group)
	}
	var few [8]*share
	shares, staying := few[:0], 0
	for i := range g.shares {
		shares = append(shares, &g.shares[i])
		if last := len(shares) - 1; !s.g.net.Draining(g.shares[i].origin.id) {
			shares[staying], shares[last] = shares[last], shares[staying]
			staying++
		}
	}
	if staying > 0 {
		shares = shares[:staying]
	}
	return g.pick(shares, by, rand.Uint64()), nil
}

// pick chooses among the members of some shares, at least one of which is not empty.
func (g *group) pick(shares []*share, by Strategy, chance uint64) process.PID {
	if by.kind == byKey {
		return pickByKey(shares, by.key)
	}
	total := 0
	for _, sh := range shares {
		total += sh.set.total()
	}
	i := int(chance % uint64(total))
	if by.kind == byTurn {
		i = int(uint64(g.turn.Add(1)-1) % uint64(total))
	}
	for _, sh := range shares {
		n := sh.set.total()
		if i < n {
			return pid(sh.origin.id, sh.set.at(i))
		}
		i -= n
	}
	return process.PID{}
}

// pickByKey chooses the member with the highest weight for a key. The weight depends on the key and the member alone,
// in the same way on every node.
func pickByKey(shares []*share, key string) process.PID {
	var best process.PID
	var most uint64
	k := hashString(key)
	for _, sh := range shares {
		o := sh.origin.id
		seed := mix(k ^ mix(hashString(o.Name)^o.Incarnation))
		sh.set.each(func(id uint64, _ uint32) {
			if w := mix(seed ^ mix(id)); best.IsZero() || w > most {
				best, most = pid(o, id), w
			}
		})
	}
	return best
}

// hashString is FNV-1a.
func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the finalizer of splitmix64: every bit of the result depends on every bit of x.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
