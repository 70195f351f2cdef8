package process

// link is one end of a link: what this process knows about its partner.
//
// Across nodes, a link that is taken back while signals cross would leave the two ends of different minds. So an
// unlink has a number, and the end stays, inactive, until the partner has answered with that number. While it is
// inactive, exits and links from the partner are from before it heard of the unlink, and do nothing (LINK-16, LINK-17).
type link struct {
	peer      PID
	unlinking uint64 // number of the unlink that the partner has not answered yet; zero while the link is active
}

// linkSet is the links of one process. Most have one or two, a supervisor may have a million. A nil set is empty.
type linkSet struct {
	few    []*link
	many   shrinkMap[PID, *link] // takes over from few
	parent PID                   // see Process.Parent
}

const fewLinks = 8

func (s *linkSet) get(peer PID) *link {
	if s == nil {
		return nil
	}
	for _, l := range s.few {
		if l.peer == peer {
			return l
		}
	}
	return s.many.m[peer]
}

func (s *linkSet) add(l *link) {
	if len(s.many.m) == 0 && len(s.few) < fewLinks {
		s.few = append(s.few, l)
		return
	}
	for _, old := range s.few {
		s.many.put(old.peer, old)
	}
	s.few = nil
	s.many.put(l.peer, l)
}

func (s *linkSet) remove(peer PID) {
	if s == nil {
		return
	}
	for i, l := range s.few {
		if l.peer == peer {
			last := len(s.few) - 1
			s.few[i], s.few[last] = s.few[last], nil
			s.few = s.few[:last]
			return
		}
	}
	s.many.remove(peer)
}

// each yields the links in no order.
func (s *linkSet) each(yield func(*link) bool) {
	if s == nil {
		return
	}
	for _, l := range s.few {
		if !yield(l) {
			return
		}
	}
	for _, l := range s.many.m {
		if !yield(l) {
			return
		}
	}
}

// newLink adds a link to the process's set. mu is held.
func (p *Process) newLink(peer PID) *link {
	if p.links == nil {
		p.links = &linkSet{}
	}
	l := &link{peer: peer}
	p.links.add(l)
	return l
}

// Parent is the process that this one was linked to by WithLink when it was started, or the zero PID.
func (p *Process) Parent() PID {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links == nil {
		return PID{}
	}
	return p.links.parent
}

// setParent notes the parent of a process that does not run yet.
func (p *Process) setParent(parent PID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links == nil {
		p.links = &linkSet{}
	}
	p.links.parent = parent
}

// Link ties this process and another together: when either ends, the other gets an exit signal with the same reason,
// which ends it too unless it traps exits or the reason is ErrNormal (LINK-11). There is at most one link between two
// processes: a second Link does nothing (LINK-13). Linking to nobody is answered by an exit signal with ErrNoProcess,
// to a node that cannot be reached by one with ErrNoConnection, both as if the link had been there (LINK-14, LINK-24).
// Link returns at once for a process of this node or of a connected one; else it connects first.
func (p *Process) Link(pid PID) {
	r := p.rt
	switch {
	case r.local(pid):
		if pid.ID != p.id {
			p.linkLocal(pid)
		}
	case pid.Node == r.id.Name || pid.IsZero():
		p.exitSignal(Exit{From: pid, Reason: ErrNoProcess, Link: true})
	default:
		p.linkRemote(pid)
	}
}

// Unlink takes the link back. After it has returned the end of the other process has no effect on this one any more
// (LINK-16). An Exit that waits in the mailbox already stays there. Without a link it does nothing.
func (p *Process) Unlink(pid PID) {
	if !p.rt.local(pid) {
		p.unlinkRemote(pid)
		return
	}
	q := p.rt.procs.get(pid.ID)
	if q == nil {
		p.mu.Lock()
		p.links.remove(pid) // the partner is dying: its signal will find no link
		p.mu.Unlock()
		return
	}
	if q == p {
		return
	}
	unlock := lockBoth(p, q)
	defer unlock()
	p.links.remove(pid)
	q.links.remove(p.PID())
}

func (p *Process) linkLocal(pid PID) {
	q := p.rt.procs.get(pid.ID)
	if q == nil || !tie(p, q) {
		p.exitSignal(Exit{From: pid, Reason: ErrNoProcess, Link: true})
	}
}

// tie links two local processes. It reports false when q has ended.
func tie(p, q *Process) bool {
	unlock := lockBoth(p, q)
	defer unlock()
	if q.dead {
		return false
	}
	if p.dead || p.links.get(q.PID()) != nil {
		return true
	}
	p.newLink(q.PID())
	q.newLink(p.PID())
	return true
}

// lockBoth locks two processes, in the order of their ids.
func lockBoth(p, q *Process) (unlock func()) {
	if p.id > q.id {
		p, q = q, p
	}
	p.mu.Lock()
	q.mu.Lock()
	return func() {
		q.mu.Unlock()
		p.mu.Unlock()
	}
}

// linkExit is the exit signal of a linked partner that has ended, or was lost.
func (p *Process) linkExit(from PID, reason error) {
	p.mu.Lock()
	l := p.links.get(from)
	p.dropLink(l)
	p.mu.Unlock()
	if l != nil && l.unlinking == 0 {
		p.exitSignal(Exit{From: from, Reason: reason, Link: true})
	}
}

// dropLink forgets a link, or does nothing for nil. mu is held.
func (p *Process) dropLink(l *link) {
	if l == nil {
		return
	}
	p.links.remove(l.peer)
	if !p.rt.local(l.peer) {
		p.rt.peers.removeLink(p, l.peer)
	}
}

// linkDied tells the partner of a link that p has ended.
func (r *Runtime) linkDied(p *Process, l *link, reason error) {
	if !r.local(l.peer) {
		r.remoteLinkDied(p, l, reason)
		return
	}
	if q := r.procs.get(l.peer.ID); q != nil {
		q.linkExit(p.PID(), reason)
	}
}
