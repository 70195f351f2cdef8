package pg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// Delivery says how far a broadcast went.
type Delivery struct {
	// Members is how many memberships it was sent to, on Nodes nodes, this one included if it has members. A process
	// that joined twice counts twice and gets two copies (PG-56).
	Members, Nodes int
	// Skipped are the nodes that were behind and did not get it. Each is told how many it missed when it has caught
	// up, and its monitors see an Event of kind Missed.
	Skipped []node.ID
}

// Broadcast sends a message to every member of a group that this node sees at this moment, and to those who
// subscribed to a pattern that matches. Members on this node get the Go value itself, members elsewhere one value that
// all members of their node share: it must not be changed after sending, nor by who receives it. One copy crosses the
// wire per node with members, however many they are.
//
// What one goroutine broadcasts and sends arrives in that order at each member. A node whose window is full is waited
// for, within ctx and the patience of the groups (see WithPatience); if it does not catch up it is skipped, without
// waiting, until it has. The other members are not held up: they have the message by then.
//
// Errors, in all of which nothing was sent: ErrBadName, ErrClosed, node.ErrTooLarge, ctx.Err() if it was over before,
// and those of process.Runtime.Encode, if the group has members elsewhere. A group without members is no error.
func (s *Scope) Broadcast(ctx context.Context, group string, msg any) (Delivery, error) {
	if err := checkName("group", group); err != nil {
		return Delivery{}, err
	}
	if err := ctx.Err(); err != nil {
		return Delivery{}, err
	}
	p, ok := s.plan(group)
	if !ok {
		return Delivery{}, fmt.Errorf("%w: scope %q", ErrClosed, s.name)
	}
	defer p.free()
	defer p.leaveLanes()
	s.g.stats.broadcasts.Add(1)
	d := Delivery{Members: len(p.locals)}
	if d.Members > 0 {
		d.Nodes = 1
	}
	if len(p.targets) == 0 {
		s.deliver(p.locals, msg)
		return d, nil
	}
	payload, err := s.g.rt.Encode(msg)
	if err != nil {
		return Delivery{}, err
	}
	p.counted = p.many()
	p.buf = appendKey(appendHeader(p.buf[:0], p.messageKind(), s.name), key{name: group})
	late, err := s.spread(ctx, p, group, payload)
	if err != nil {
		return Delivery{}, err
	}
	s.deliver(p.locals, msg)
	d.Skipped = s.waitFor(ctx, p, group, late, payload)
	for i := range p.targets {
		if t := &p.targets[i]; t.state == sent {
			d.Nodes++
			d.Members += t.members
		}
	}
	return d, nil
}

// deliver puts a message into mailboxes of this node.
func (s *Scope) deliver(locals []process.PID, msg any) {
	if len(locals) > 0 {
		s.g.stats.delivered.Add(uint64(s.g.rt.Deliver(locals, msg)))
	}
}

// wholeFrame is up to which size node takes a message as one frame. Larger ones go in parts, to each node by itself.
const wholeFrame = 128 << 10

// spread sends the frame of p.buf and payload to all targets, without waiting for anybody: over the topic to those
// that take it, if they are enough, over their sessions to the others. It returns those that cannot take it now.
// After an error nothing was sent. A target that is gone counts no members.
func (s *Scope) spread(ctx context.Context, p *plan, group string, payload []byte) (late []int, err error) {
	s.reserve(p)
	if len(p.buf)+len(payload) > wholeFrame {
		err = s.spreadLarge(ctx, p, payload)
	} else {
		err = s.spreadSmall(ctx, p, group, payload)
	}
	p.leaveLanes()
	for i := range p.targets {
		t := &p.targets[i]
		t.settle()
		if t.state == full {
			late = append(late, i)
		}
	}
	if p.ask && err == nil {
		s.ask(p)
	}
	return late, closedError(err)
}

func (s *Scope) spreadSmall(ctx context.Context, p *plan, group string, payload []byte) error {
	if topic := p.useTopic(s.g.topicFrom); topic {
		skipped, err := s.g.net.Broadcast(ctx, key{name: group}.topic(s.name), node.ProtocolGroups, p.via, p.buf, payload)
		if err != nil {
			return err
		}
		for i := range p.targets {
			if t := &p.targets[i]; t.lane != nil {
				t.state = sent
				if slices.Contains(skipped, t.id) {
					t.state = full
				}
			}
		}
	}
	for i := range p.targets {
		t := &p.targets[i]
		if t.state != waiting {
			continue
		}
		err := s.g.net.Send(ctx, t.id, node.ProtocolGroups, node.NoWait|node.NoConnect, p.buf, payload)
		if t.state = outcome(ctx, err); t.state == refused {
			return err
		}
	}
	return nil
}

// spreadLarge sends a message in parts, to all targets at once, so that none waits for another. Once it has begun with
// a node, it waits for that node's window within ctx.
func (s *Scope) spreadLarge(ctx context.Context, p *plan, payload []byte) error {
	errs := make([]error, len(p.targets))
	var sending sync.WaitGroup
	for i := range p.targets {
		if p.targets[i].state != waiting {
			continue
		}
		sending.Go(func() {
			errs[i] = s.g.net.Send(ctx, p.targets[i].id, node.ProtocolGroups, node.NoWait|node.NoConnect, p.buf, payload)
			p.targets[i].state = outcome(ctx, errs[i])
		})
	}
	sending.Wait()
	for i := range p.targets {
		if p.targets[i].state == refused {
			return errs[i]
		}
	}
	return nil
}

// outcome says what the result of a Send means for a target.
func outcome(ctx context.Context, err error) state {
	switch {
	case err == nil:
		return sent
	case errors.Is(err, node.ErrTooLarge), errors.Is(err, node.ErrClosed):
		return refused
	case errors.Is(err, node.ErrWouldBlock), ctx.Err() != nil:
		return full
	}
	return gone // its session has just ended: its members are as good as gone
}

// closedError makes a node's end look like that of the groups.
func closedError(err error) error {
	if errors.Is(err, node.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}

// waitFor sends to those who could not take the message at once, waiting for them for a while unless they are known to
// be behind. It returns those that miss the message.
func (s *Scope) waitFor(ctx context.Context, p *plan, group string, late []int, payload []byte) (skipped []node.ID) {
	if s.g.behind.any.Load() > 0 {
		for i := range p.targets {
			if p.targets[i].state == sent {
				s.g.behind.took(p.targets[i].id)
			}
		}
	}
	for _, i := range late {
		t := &p.targets[i]
		if !s.g.behind.is(t.id) {
			t.state = s.waitForOne(ctx, p, t, payload)
		}
		switch t.state {
		case sent:
			s.g.behind.took(t.id)
		case full:
			s.g.behind.miss(t.id, missed{s.name, group})
			skipped = append(skipped, t.id)
		}
	}
	return skipped
}

// waitForOne sends to one node within the patience of the groups. While the node goes on delivering what was sent
// before, that begins anew.
func (s *Scope) waitForOne(ctx context.Context, p *plan, t *target, payload []byte) state {
	var purse *purse
	if p.counted {
		purse = s.g.credit.get(t.id)
		if !purse.await(ctx, t.members, s.g.patience) {
			return full
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.g.patience)
	defer cancel()
	now := outcome(ctx, s.g.net.Send(ctx, t.id, node.ProtocolGroups, node.NoConnect, p.buf, payload))
	switch {
	case purse == nil:
	case now == sent:
		purse.sent(t.members)
	default:
		purse.unsent(t.members)
	}
	return now
}

// ask asks the nodes that do not take the topic of a group yet to take it. Until they have told that they do, they
// get the group's broadcasts over their sessions.
func (s *Scope) ask(p *plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range p.targets {
		t := &p.targets[i]
		if t.ask == nil {
			continue
		}
		sh := s.table.find(*t.ask).share(t.origin)
		if sh == nil || sh.extra().asked != 0 {
			continue
		}
		sh.more.asked = time.Now().UnixNano()
		s.g.post(t.id, appendKey(appendHeader(s.buf[:0], kindAsk, s.name), *t.ask))
	}
}

// onMessage delivers a broadcast of another node to the members of this one.
// It returns to how many.
func (s *Scope) onMessage(r *reader) int {
	name, pattern := r.name()
	if r.err != nil || pattern {
		r.fail("bad broadcast")
		return 0
	}
	p := plans.Get().(*plan)
	defer p.free()
	s.mu.RLock()
	s.locals(p, name)
	s.mu.RUnlock()
	if len(p.locals) == 0 {
		return 0 // the last member left while this was under way (CHAT-03)
	}
	msg, err := s.g.rt.Decode(r.b)
	if err != nil {
		s.g.stats.badMessages.Add(1)
		s.g.log.Warn().Err(err).Str("scope", s.name).Str("group", string(name)).Msg("broadcast dropped")
		return 0
	}
	s.deliver(p.locals, msg)
	return len(p.locals)
}

// locals lists who on this node gets a broadcast. The lock is held for reading.
func (s *Scope) locals(p *plan, name []byte) {
	if s.table.trie.size > 0 {
		s.table.trie.match(string(name), func(g *group) {
			if sh := g.share(s.table.self); sh != nil {
				p.addLocals(sh)
			}
		})
	}
	if sh := s.table.groups[string(name)].share(s.table.self); sh != nil {
		p.addLocals(sh)
	}
}
