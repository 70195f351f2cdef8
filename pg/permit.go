package pg

import "github.com/kith-mesh/kith/node"

// mayJoin asks the rules of the node whether a peer may have members in a group here. What is refused is not shown on this
// node, and what else the peer says of those members finds nothing to change. A subscription by pattern counts as a member
// of the group that is named as the pattern is.
func (s *Scope) mayJoin(from node.ID, k key, members int) bool {
	if members == 0 || !s.g.net.Guarded() || s.g.net.Permit(from.Name, node.ActionJoin, k.name) == nil {
		return true
	}
	s.g.stats.refused.Add(uint64(members))
	return false
}
