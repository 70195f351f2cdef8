package process

import "github.com/kith-mesh/kith/node"

// linkRemote links to a process of another node.
func (p *Process) linkRemote(pid PID) {
	r := p.rt
	p.mu.Lock()
	l := p.links.get(pid)
	if p.dead || l != nil && l.unlinking == 0 {
		p.mu.Unlock()
		return
	}
	end := &linkEnd{p: p, peer: pid}
	if l != nil {
		l.unlinking = 0 // the answer to the unlink, when it comes, finds the link active again
	} else {
		p.newLink(pid)
		r.peers.addLink(end)
	}
	p.mu.Unlock()
	r.begun(pid.Node, &end.conn)

	f := frame{kind: frameLink, from: p.id, to: pid.ID}
	if err := r.sendFrame(p.Context(), pid.NodeID(), &f, 0); err != nil {
		p.linkExit(pid, r.whyLost(pid.NodeID(), err))
		return
	}
	p.mu.Lock()
	dead, reason := p.dead, p.reason
	p.mu.Unlock()
	if dead { // it was killed on the way: what it told the partner came before the link
		r.sendLinkExit(p.id, pid, reason)
	}
}

// unlinkRemote takes back a link to a process of another node.
func (p *Process) unlinkRemote(pid PID) {
	r := p.rt
	p.mu.Lock()
	l := p.links.get(pid)
	if l == nil || l.unlinking != 0 {
		p.mu.Unlock()
		return
	}
	ref := r.lastRef.Add(1)
	l.unlinking = ref
	p.mu.Unlock()
	f := frame{kind: frameUnlink, from: p.id, to: pid.ID, ref: ref}
	if r.postFrame(pid.NodeID(), &f) != nil {
		p.unlinked(pid, ref) // no session: nobody to agree with
	}
}

// unlinked ends an unlink that the partner has answered.
func (p *Process) unlinked(pid PID, ref uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.links.get(pid); l != nil && l.unlinking == ref {
		p.dropLink(l)
	}
}

// remoteLinkDied tells the partner on another node that p has ended.
func (r *Runtime) remoteLinkDied(p *Process, l *link, reason error) {
	r.peers.removeLink(p, l.peer)
	if l.unlinking == 0 {
		r.sendLinkExit(p.id, l.peer, reason)
	}
}

func (r *Runtime) sendLinkExit(from uint64, to PID, reason error) {
	r.reply(to.NodeID(), frame{kind: frameLinkExit, from: from, to: to.ID, body: r.types.now.Load().encodeReason(reason)})
}

// linkFromRemote is the partner's side of linkRemote, in the session conn. Errors: ErrNoProcess when the process has
// ended, ErrNoConnection when the session has.
func (p *Process) linkFromRemote(pid PID, conn uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return ErrNoProcess
	}
	if p.links.get(pid) != nil {
		return nil
	}
	if !p.rt.peers.addLink(&linkEnd{p: p, peer: pid, conn: conn}) {
		return ErrNoConnection
	}
	p.newLink(pid)
	return nil
}

func (r *Runtime) handleLink(p node.Peer, f frame) {
	from := remotePID(p, f.from)
	if target := r.procs.get(f.to); target == nil || target.linkFromRemote(from, p.Conn) != nil {
		r.sendLinkExit(f.to, from, ErrNoProcess)
	}
}

func (r *Runtime) handleUnlink(p node.Peer, f frame) {
	if target := r.procs.get(f.to); target != nil {
		target.mu.Lock()
		if l := target.links.get(remotePID(p, f.from)); l != nil && l.unlinking == 0 {
			target.dropLink(l)
		}
		target.mu.Unlock()
	}
	r.reply(p.ID, frame{kind: frameUnlinked, from: f.to, to: f.from, ref: f.ref})
}

func (r *Runtime) handleUnlinked(p node.Peer, f frame) {
	if target := r.procs.get(f.to); target != nil {
		target.unlinked(remotePID(p, f.from), f.ref)
	}
}

func (r *Runtime) handleLinkExit(p node.Peer, f frame) {
	if target := r.procs.get(f.to); target != nil {
		target.linkExit(remotePID(p, f.from), r.types.now.Load().decodeReason(f.body))
	}
}

// remotePID is a process of the peer.
func remotePID(p node.Peer, id uint64) PID {
	if id == 0 {
		return PID{}
	}
	return PID{Node: p.Name, Incarnation: p.Incarnation, ID: id}
}
