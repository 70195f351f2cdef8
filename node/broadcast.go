package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/internal/wire"
)

// topics are the broadcasts that this node takes.
type topics struct {
	n  *Node
	mu sync.Mutex // guards the field below
	at map[string]*topic
}

type topic struct {
	sub   *nats.Subscription
	count int
}

func (t *topics) init(n *Node) { t.n, t.at = n, map[string]*topic{} }

// Subscribe makes this node take the broadcasts of a topic: dot-separated tokens of [A-Za-z0-9_-], where * stands for
// any one token and > for all that follow. It returns when the subscription is queued on the connection that carries
// this node's frames: a frame sent afterwards tells a peer of it no sooner than the peer's broker knows it (decision
// 10). Each Subscribe needs its Unsubscribe. Errors: ErrBadArgument, ErrClosed.
func (n *Node) Subscribe(name string) error {
	if !validTopic(name, true) {
		return fmt.Errorf("%w: topic %q", ErrBadArgument, name)
	}
	n.topics.mu.Lock()
	defer n.topics.mu.Unlock()
	if t := n.topics.at[name]; t != nil {
		t.count++
		return nil
	}
	sub, err := n.ordered.ChanSubscribe(n.subjects.topic(name), n.dispatcher.messages)
	if err != nil {
		return n.closedOr(fmt.Errorf("subscribing to topic %q: %w", name, err))
	}
	n.topics.at[name] = &topic{sub: sub, count: 1}
	return nil
}

// Unsubscribe takes one Subscribe back. Errors: ErrBadArgument for a topic that is not subscribed, ErrClosed.
func (n *Node) Unsubscribe(name string) error {
	n.topics.mu.Lock()
	defer n.topics.mu.Unlock()
	t := n.topics.at[name]
	if t == nil {
		return fmt.Errorf("%w: topic %q is not subscribed", ErrBadArgument, name)
	}
	if t.count--; t.count > 0 {
		return nil
	}
	delete(n.topics.at, name)
	if err := t.sub.Unsubscribe(); err != nil {
		return n.closedOr(fmt.Errorf("unsubscribing from topic %q: %w", name, err))
	}
	return nil
}

// validTopic checks a topic, so that no bad subject ever reaches the broker, which would close the connection.
func validTopic(name string, wildcards bool) bool {
	if name == "" || len(name) > 2048 {
		return false
	}
	for more := true; more; {
		var token string
		token, name, more = strings.Cut(name, ".")
		switch {
		case wildcards && token == "*":
		case wildcards && token == ">" && !more:
		case !plainToken(token):
			return false
		}
	}
	return true
}

// plainToken accepts one byte or more of [A-Za-z0-9_-].
func plainToken(token string) bool {
	for i := range len(token) {
		c := token[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return token != ""
}

// Broadcast sends one frame to several nodes as one message: one copy crosses the wire for each node. Every listed
// node must have subscribed to the topic before it said so; a node that is subscribed and not listed ignores it. It is
// ordered with Send: what one goroutine sends and broadcasts arrives everywhere in that order. While one of the
// listed nodes has no room, or a node without a session can still be reached, the others get a frame each instead.
//
// It does not wait for a slow peer: a listed node whose window is full, or that has no session, is left out and
// returned. A payload over 128 KiB goes to each node by itself, and waits for windows within ctx. Errors:
// ErrBadArgument, ErrTooLarge, ErrClosed, ctx.Err().
func (n *Node) Broadcast(ctx context.Context, name string, p Protocol, to []ID, parts ...[]byte) (skipped []ID, err error) {
	if !validTopic(name, false) || p == protocolSession || p > maxProtocol {
		return nil, fmt.Errorf("%w: topic %q, protocol %d", ErrBadArgument, name, p)
	}
	total := 0
	for _, b := range parts {
		total += len(b)
	}
	switch {
	case n.ctx.Err() != nil:
		return nil, ErrClosed
	case total > n.cfg.MaxMessage:
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, total, n.cfg.MaxMessage)
	case total > maxWhole:
		return n.broadcastParts(ctx, p, to, parts)
	}
	targets := make([]*session, 0, len(to))
	set := n.peers.Load()
	for _, id := range to {
		if s := set.find(id); s != nil {
			targets = append(targets, s)
		} else {
			skipped = append(skipped, id)
		}
	}
	left := n.broadcast(n.subjects.topic(name), p, targets, wire.FrameSize(total), parts)
	for _, s := range left {
		skipped = append(skipped, s.peer.ID)
	}
	n.counters.skipped.Add(uint64(len(skipped)))
	return skipped, nil
}

// broadcastParts sends a large message to each node by itself.
func (n *Node) broadcastParts(ctx context.Context, p Protocol, to []ID, parts [][]byte) (skipped []ID, err error) {
	for _, id := range to {
		switch err := n.Send(ctx, id, p, NoConnect, parts...); {
		case err == nil:
		case ctx.Err() != nil:
			return skipped, ctx.Err()
		default:
			skipped = append(skipped, id)
		}
	}
	return skipped, nil
}

// broadcast queues one frame for all targets that have room, and returns the others. The locks of all targets are
// taken in the order of their incarnations.
func (n *Node) broadcast(subject string, p Protocol, targets []*session, size int, parts [][]byte) (left []*session) {
	slices.SortFunc(targets, func(a, b *session) int {
		switch {
		case a.peer.Incarnation < b.peer.Incarnation:
			return -1
		case a.peer.Incarnation > b.peer.Incarnation:
			return 1
		}
		return 0
	})
	targets = slices.Compact(targets)
	for _, s := range targets {
		s.mu.Lock()
	}
	with := targets[:0:0]
	for _, s := range targets {
		if !s.closing() && len(s.backlog) == 0 && s.room(size+wire.BroadcastSize(len(targets))) {
			with = append(with, s)
		} else {
			left = append(left, s)
		}
	}
	pushed := false
	switch {
	case len(with) == 0:
	case len(left) > 0 || len(with) == 1 || n.shadows.Load() > 0:
		// A message on the topic reaches every subscriber's broker, listed or not: one that cannot take more must not
		// get it. With a frame in each session the same single copy goes to each of the others.
		for _, s := range with {
			pushed = s.append(p, wire.Whole, n.out, parts...) || pushed
		}
	default:
		pushed = n.appendBroadcast(subject, p, with, size, parts)
	}
	for _, s := range targets {
		s.mu.Unlock()
	}
	if pushed {
		n.out.started()
	}
	return left
}

// appendBroadcast puts the frame into the newest operation of all targets, if that is one and the same broadcast to
// just them, or into a fresh one. Their locks are held.
func (n *Node) appendBroadcast(subject string, p Protocol, with []*session, size int, parts [][]byte) bool {
	if o := with[0].last; o != nil && o.kind == opBroadcast && o.subject == subject && len(o.buf)+size <= maxBatch &&
		slices.Equal(o.targets, with) && !slices.ContainsFunc(with, func(s *session) bool { return s.last != o }) {
		o.buf = wire.AppendFrame(o.buf, byte(p), wire.Whole, parts...)
		o.count++
		for _, s := range with {
			s.queued += uint64(size)
			s.unsent += size
		}
		return false
	}
	head := wire.BroadcastSize(len(with))
	o := newOp(opBroadcast)
	o.subject, o.targets = subject, with
	o.buf = wire.AppendFrame(slices.Grow(o.buf, head)[:head], byte(p), wire.Whole, parts...)
	o.count = 1
	for _, s := range with {
		s.queued += wire.MessageCharge + uint64(head+size)
		s.unsent += head + size
		s.last = o
	}
	n.out.push(o)
	return true
}
