package node

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/kith-mesh/kith/internal/wire"
)

// A message over maxWhole travels in parts of that size, so that small messages of others pass between them (SIG-14).
// The parts of one message are sent by one goroutine, one after the other, so the order of what that goroutine sends
// is kept: its next message is queued behind the last part.
const maxWhole = 128 << 10

// maxAssemblies bounds how many messages of one peer may be in parts at the same time, as a guard against a broken
// peer: each is a goroutine that waits in Send over there.
const maxAssemblies = 1 << 16

// firstRoom is how many times what has arrived of a message is set aside for the rest of it at first; then it doubles.
const firstRoom = 8

// assembly gathers the parts of one message.
type assembly struct {
	protocol Protocol
	total    uint64
	data     []byte
}

// sendParts sends one large message. If it cannot be completed, the peer is told to forget what it has.
func (n *Node) sendParts(ctx context.Context, s *session, flags SendFlags, p Protocol, total int, payload [][]byte) error {
	var id [binary.MaxVarintLen64]byte
	key := id[:binary.PutUvarint(id[:], n.messages.Add(1))]
	head := binary.AppendUvarint(append([]byte(nil), key...), uint64(total))
	rest := payload
	part, lead := wire.First, head
	for sent := 0; sent < total; part, lead = wire.More, key {
		var piece [][]byte
		piece, rest = cut(rest, maxWhole)
		err := s.enqueue(ctx, flags, p, part, n.out, append([][]byte{lead}, piece...)...)
		if err != nil {
			if part == wire.More {
				n.abortParts(s, p, key)
			}
			return err
		}
		for _, b := range piece {
			sent += len(b)
		}
		flags &^= NoWait // it has begun: from here on, giving up would be worse than waiting
	}
	return nil
}

// abortParts tells the peer that the rest of a message will not come. It must not wait, and the frame is not Whole, so
// it goes the way of an ordinary frame but over the window.
func (n *Node) abortParts(s *session, p Protocol, key []byte) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	pushed := s.append(p, wire.Abort, n.out, key)
	s.mu.Unlock()
	if pushed {
		n.out.wakeWriter()
	}
}

// cut takes up to limit bytes from the front of a list of byte slices.
func cut(list [][]byte, limit int) (front, rest [][]byte) {
	for len(list) > 0 && limit > 0 {
		b := list[0]
		if len(b) > limit {
			front = append(front, b[:limit])
			rest = append([][]byte{b[limit:]}, list[1:]...)
			return front, rest
		}
		front = append(front, b)
		limit -= len(b)
		list = list[1:]
	}
	return front, list
}

// assemble takes one part. It returns the message once it is complete. Memory grows with what has arrived, not with
// what was announced.
func (s *session) assemble(p Protocol, part wire.Part, payload []byte, limit int) ([]byte, bool, error) {
	id, w := binary.Uvarint(payload)
	if w <= 0 {
		return nil, false, fmt.Errorf("%w: part without a message id", wire.ErrCorrupt)
	}
	rest := payload[w:]
	a := s.parts[id]
	switch {
	case part == wire.Abort:
		delete(s.parts, id)
		return nil, false, nil
	case part == wire.First:
		total, w := binary.Uvarint(rest)
		if w <= 0 || a != nil || total > uint64(limit) || len(s.parts) >= maxAssemblies {
			return nil, false, fmt.Errorf("%w: bad first part of %d bytes", wire.ErrCorrupt, total)
		}
		rest = rest[w:]
		a = &assembly{protocol: p, total: total}
		if s.parts == nil {
			s.parts = map[uint64]*assembly{}
		}
		s.parts[id] = a
	case a == nil || a.protocol != p:
		return nil, false, fmt.Errorf("%w: part of an unknown message", wire.ErrCorrupt)
	}
	if uint64(len(a.data)+len(rest)) > a.total {
		return nil, false, fmt.Errorf("%w: parts exceed the message", wire.ErrCorrupt)
	}
	if need := len(a.data) + len(rest); need > cap(a.data) {
		room := max(need, 2*cap(a.data))
		if cap(a.data) == 0 {
			room = firstRoom * need
		}
		// What append would do leaves far more behind, and a message of a megabyte comes in one piece of memory.
		a.data = append(make([]byte, 0, min(a.total, uint64(room))), a.data...)
	}
	a.data = append(a.data, rest...)
	if uint64(len(a.data)) < a.total {
		return nil, false, nil
	}
	delete(s.parts, id)
	return a.data, true, nil
}
