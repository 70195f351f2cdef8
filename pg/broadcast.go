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
// waiting, until it has. The other members are not held up: they have the message by then. A message over 128 KiB is
// waited for in every node that it goes to, as long as that node goes on taking things in.
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
// that take it, if they are enough, over their sessions to the others. It says whether there are any that cannot take it
// now, or that have to be waited for anyhow, since it goes in parts: see waitFor. After an error nothing was sent. A target
// that is gone counts no members.
func (s *Scope) spread(ctx context.Context, p *plan, group string, payload []byte) (late bool, err error) {
	s.reserve(p)
	p.large = len(p.buf)+len(payload) > wholeFrame
	if p.large {
		err = s.checkSize(p, payload)
	} else {
		err = s.spreadSmall(ctx, p, group, payload)
	}
	p.leaveLanes() // what is still to be sent goes over sessions
	for i := range p.targets {
		t := &p.targets[i]
		switch {
		case t.state == full:
			late = true
		case t.state == waiting && err == nil:
			late = true
			continue // it keeps its credit
		}
		t.settle()
	}
	if p.ask && err == nil {
		s.ask(p)
	}
	return late, closedError(err)
}

// checkSize refuses what node would refuse, before anybody gets it.
func (s *Scope) checkSize(p *plan, payload []byte) error {
	if size, limit := len(p.buf)+len(payload), s.g.net.MaxMessage(); size > limit {
		return fmt.Errorf("%w: %d bytes, the limit is %d", node.ErrTooLarge, size, limit)
	}
	return nil
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
func (s *Scope) waitFor(ctx context.Context, p *plan, group string, late bool, payload []byte) (skipped []node.ID) {
	if s.g.behind.any.Load() > 0 {
		for i := range p.targets {
			if p.targets[i].state == sent {
				s.g.behind.took(p.targets[i].id)
			}
		}
	}
	if late {
		s.waitForAll(ctx, p, group, payload)
	}
	for i := range p.targets {
		if p.targets[i].state == full {
			skipped = append(skipped, p.targets[i].id)
		}
	}
	return skipped
}

// waitForAll waits for all who are late at once, so that none gets the message later because of another.
func (s *Scope) waitForAll(ctx context.Context, p *plan, group string, payload []byte) {
	var sending sync.WaitGroup
	for i := range p.targets {
		t := &p.targets[i]
		if t.state != full && t.state != waiting {
			continue
		}
		sending.Go(func() {
			s.waitForOne(ctx, p, t, payload)
			switch t.state {
			case sent:
				s.g.behind.took(t.id)
			case full:
				s.g.behind.miss(t.id, missed{s.name, group})
			}
		})
	}
	sending.Wait()
}

// waitForOne sends to one node within the patience of the groups, or at once or not at all if it is known to be behind.
// While the node goes on delivering what was sent before, the patience begins anew.
func (s *Scope) waitForOne(ctx context.Context, p *plan, t *target, payload []byte) {
	flags := node.NoConnect
	if s.g.behind.is(t.id) {
		if t.state == full {
			return // it was tried just now
		}
		flags |= node.NoWait
	}
	if p.counted && t.purse == nil {
		purse := s.g.credit.get(t.id)
		if !purse.await(ctx, t.members, s.g.patience) {
			return
		}
		t.purse = purse
	}
	ctx, cancel := s.patient(ctx, p, t.id)
	defer cancel()
	t.state = outcome(ctx, s.g.net.Send(ctx, t.id, node.ProtocolGroups, flags, p.buf, payload))
	if t.state == refused {
		t.state = gone // this node is stopping
	}
	t.settle()
}

// patient ends with the patience of the groups. Sending in parts it begins anew whenever the node has taken something in:
// the message may be more than a window, and the node cannot be blamed for that.
func (s *Scope) patient(ctx context.Context, p *plan, id node.ID) (context.Context, context.CancelFunc) {
	if !p.large {
		return context.WithTimeout(ctx, s.g.patience)
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		s.watchIntake(ctx, id)
	}()
	return ctx, cancel
}

// watchIntake returns when a node has taken nothing in for the patience of the groups, or when ctx ends. It looks often
// enough to be late by a quarter of it at most.
func (s *Scope) watchIntake(ctx context.Context, id node.ID) {
	const looks = 4
	look := time.NewTicker(max(s.g.patience/looks, time.Millisecond))
	defer look.Stop()
	taken := s.g.net.Taken(id)
	for idle := 0; idle < looks; {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		idle++
		if now := s.g.net.Taken(id); now != taken {
			taken, idle = now, 0
		}
	}
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
