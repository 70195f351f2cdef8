package process

import (
	"bytes"
	"context"
	"errors"

	"github.com/kith-mesh/kith/node"
)

// handler is the runtime as the node sees it. Its methods run on the node's dispatcher, one at a time.
type handler Runtime

func (h *handler) rt() *Runtime { return (*Runtime)(h) }

// PeerUp notes the session.
func (h *handler) PeerUp(p node.Peer) { h.rt().peers.up(p) }

// PeerDown answers all that waited for the peer (LINK-04, LINK-15).
func (h *handler) PeerDown(p node.Peer, _ node.Reason) {
	gone := h.rt().peers.down(p)
	for _, w := range gone.watches {
		w.watch.target.removeWatch(&w.watch)
	}
	for _, q := range gone.requests {
		close(q.answer)
	}
	for _, m := range gone.monitors {
		m.fire(ErrNoConnection)
	}
	for _, l := range gone.links {
		l.p.linkExit(l.peer, ErrNoConnection)
	}
}

// Frame takes one frame of the peer.
func (h *handler) Frame(p node.Peer, payload []byte) {
	r := h.rt()
	f, err := parseFrame(payload)
	switch {
	case errors.Is(err, errUnknownFrame):
		r.stats.unknownFrames.Add(1)
		return
	case err != nil:
		r.stats.badFrames.Add(1)
		r.log.Warn().Err(err).Stringer("peer", p.ID).Msg("bad frame")
		return
	}
	switch f.kind {
	case frameSend, frameSendName, frameSendAck:
		r.handleSend(p, f)
	case frameMonitor:
		r.handleMonitor(p, f)
	case frameDemonitor:
		r.handleDemonitor(p, f)
	case frameDown:
		r.handleDown(p, f)
	case frameLink:
		r.handleLink(p, f)
	case frameUnlink:
		r.handleUnlink(p, f)
	case frameUnlinked:
		r.handleUnlinked(p, f)
	case frameExit:
		r.handleExit(p, f)
	case frameLinkExit:
		r.handleLinkExit(p, f)
	case frameSpawn:
		go r.handleSpawn(p, f)
	case frameAck, frameSpawned:
		r.handleAnswer(p, f)
	}
}

// copyBelow is the size up to which a message is copied out of the buffer it came in. A small message that is not read
// for long would otherwise hold on to all that came with it.
const copyBelow = 4 << 10

func (r *Runtime) handleSend(p node.Peer, f frame) {
	var msg Message
	if basic, ok := decodeBasic(f.body); ok {
		msg = basic
	} else if len(f.body) < copyBelow {
		msg = &encoded{bytes.Clone(f.body)}
	} else {
		msg = &encoded{f.body}
	}
	mode := putAsync
	if f.kind == frameSendAck {
		mode = putConfirmed
	}
	var err error
	if f.to != 0 {
		err = r.putID(context.Background(), f.to, msg, mode)
	} else {
		err = r.putName(context.Background(), f.name, msg, mode)
	}
	if f.kind != frameSendAck {
		_ = r.toNobody(err) // what a full mailbox refuses is counted there
		return
	}
	code := ackDelivered
	switch {
	case errors.Is(err, ErrNoProcess):
		code = ackNoProcess
	case err != nil:
		code = ackMailboxFull
	}
	r.reply(p.ID, frame{kind: frameAck, ref: f.ref, aux: code})
}

func (r *Runtime) handleExit(p node.Peer, f frame) {
	if target := r.procs.get(f.to); target != nil {
		target.exitSignal(Exit{From: remotePID(p, f.from), Reason: r.types.now.Load().decodeReason(f.body)})
	}
}

func (r *Runtime) handleAnswer(p node.Peer, f frame) {
	if q := r.peers.takeRequest(p.Name, f.ref); q != nil {
		a := answer{frame: f, peer: p}
		if q.first != nil {
			q.first(a)
		}
		q.answer <- a // it has room for the one answer
	}
}

// badMessage counts a message that could not be decoded.
func (r *Runtime) badMessage(err error) {
	r.stats.badMessages.Add(1)
	r.log.Warn().Err(err).Msg("a message of another node cannot be decoded")
}
