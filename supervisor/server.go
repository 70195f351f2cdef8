package supervisor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/genserver"
	"github.com/kith-mesh/kith/process"
)

// The requests that a supervisor answers.
type (
	startChild struct {
		genserver.Returns[process.PID]
		Child Child
	}
	stopChild struct {
		genserver.Returns[bool]
		ID string
	}
	restartChild struct {
		genserver.Returns[process.PID]
		ID string
	}
	deleteChild struct {
		genserver.Returns[bool]
		ID string
	}
	look struct{ genserver.Returns[view] }
)

// view is what a supervisor shows of itself.
type view struct {
	Strategy Strategy
	Children []Info
}

// startDue is the message of a timer: the start of these children is due.
type startDue struct {
	children []*child
	due      []int
}

// state is a running supervisor.
type state struct {
	*plan
	self *process.Process
	log  zerolog.Logger
}

func newServer(spec Spec) *genserver.Server[*state] {
	return &genserver.Server[*state]{
		Init: func(self *genserver.Self) (*state, error) {
			p, err := newPlan(spec)
			if err != nil {
				return nil, err
			}
			log := self.Runtime().Node().Log().With().Stringer("supervisor", self.PID()).Logger()
			s := &state{plan: p, self: self.Process, log: log}
			return s, s.startAll()
		},
		Handlers: []genserver.Handler[*state]{
			genserver.OnCall((*state).startChild), genserver.OnCall((*state).stopChild),
			genserver.OnCall((*state).restartChild), genserver.OnCall((*state).deleteChild),
			genserver.OnCall((*state).look), genserver.OnMessage((*state).exit), genserver.OnMessage((*state).startDue),
			genserver.OnOther(func(*state, *genserver.Self, any) error { return nil }),
		},
		Terminate: func(s *state, _ *genserver.Self, _ error) { s.stopAll() },
	}
}

// startAll starts the children of the description.
func (s *state) startAll() error {
	for c := s.first; c != nil; c = c.next {
		if err := s.start(c); err != nil {
			s.stopAll()
			return &StartError{c.ID, err}
		}
	}
	return nil
}

// start starts one child.
func (s *state) start(c *child) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &process.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	pid, err := c.Start(s.self.Context(), s.self)
	if err != nil {
		return err
	}
	s.started(c, pid, time.Now())
	return nil
}

// stopAll stops what runs, in reverse order.
func (s *state) stopAll() {
	for c := s.last; c != nil; c = c.prev {
		s.stop(c)
	}
}

// stop ends a child, within its time or by force, and returns when it has ended.
func (s *state) stop(c *child) {
	pid := c.pid
	s.stopped(c)
	if pid.IsZero() {
		return
	}
	m := s.self.Monitor(pid)
	s.self.Unlink(pid)
	reason := process.ErrKill
	if c.shutdown() != Kill {
		s.self.Exit(pid, process.ErrShutdown)
		reason = s.await(m, c.shutdown())
	}
	if errors.Is(reason, process.ErrKill) {
		s.self.Exit(pid, process.ErrKill)
		reason = s.await(m, Forever)
		if c.shutdown() != Kill {
			s.log.Warn().Str("child", c.ID).Stringer("pid", pid).Dur("shutdown", c.shutdown()).Msg("child did not end in time: killed")
		}
	}
	if !endedWell(reason) && !errors.Is(reason, process.ErrKilled) && !errors.Is(reason, process.ErrNoProcess) {
		s.log.Warn().Str("child", c.ID).Stringer("pid", pid).AnErr("reason", reason).Msg("child ended badly when it was stopped")
	}
}

// await waits for the end of a child, and returns its reason, or process.ErrKill when the time is up. What else comes
// in waits in the mailbox.
func (s *state) await(m *process.Monitor, limit time.Duration) error {
	ctx, cancel := context.Background(), func() {}
	if limit != Forever {
		ctx, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	msg, err := s.self.ReceiveMatch(ctx, func(msg process.Message) bool {
		d, ok := msg.(process.Down)
		return ok && d.Monitor == m
	})
	if err != nil {
		if ctx.Err() == nil {
			return process.ErrNoProcess // the supervisor itself was killed
		}
		return process.ErrKill
	}
	return msg.(process.Down).Reason
}

// exit handles an exit signal: of a child, or else of the parent, or by hand, which end the supervisor. One of a former
// child, or of one that could not be started, means nothing any more.
func (s *state) exit(_ *genserver.Self, e process.Exit) error {
	switch {
	case !e.Link || e.From == s.self.Parent():
		if errors.Is(e.Reason, process.ErrNormal) && !e.Link {
			return nil
		}
		return e.Reason
	case s.byPID[e.From] != nil:
		return s.lost(s.byPID[e.From], e.Reason)
	}
	return nil
}

// lost handles the end of a child. It returns why the supervisor ends, if it does.
func (s *state) lost(c *child, reason error) error {
	for {
		level := zerolog.WarnLevel
		if endedWell(reason) {
			level = zerolog.DebugLevel
		}
		s.log.WithLevel(level).Str("child", c.ID).Stringer("pid", c.pid).AnErr("reason", reason).Stringer("restart", c.Restart).
			Msg("child ended")
		d := s.ended(c, reason, time.Now())
		if d.giveUp != nil {
			return d.giveUp
		}
		for _, other := range d.stop {
			s.stop(other)
			if other.Restart == Temporary {
				s.remove(other)
			}
		}
		if d.delay > 0 {
			s.postpone(d)
			return nil
		}
		var err error
		if c, err = s.startEach(d.start); err == nil {
			return nil
		}
		reason = err
	}
}

// startEach starts children in order, and returns the first that cannot be started.
func (s *state) startEach(children []*child) (*child, error) {
	for i, c := range children {
		if err := s.start(c); err != nil {
			for _, rest := range children[i:] {
				rest.waiting = true // they are to be started with it
			}
			return c, fmt.Errorf("restart: %w", err)
		}
	}
	return nil, nil
}

// postpone has the children started when the delay is over.
func (s *state) postpone(d decision) {
	m := startDue{children: d.start}
	for _, c := range d.start {
		c.waiting = true
		c.due++
		m.due = append(m.due, c.due)
	}
	s.self.Runtime().SendAfter(d.delay, s.self.PID(), m)
}

// startDue starts the children whose time has come, unless something else became of them meanwhile.
func (s *state) startDue(_ *genserver.Self, m startDue) error {
	var children []*child
	for i, c := range m.children {
		if c.waiting && c.due == m.due[i] && s.byID[c.ID] == c {
			children = append(children, c)
		}
	}
	if c, err := s.startEach(children); err != nil {
		return s.lost(c, err)
	}
	return nil
}

func (s *state) startChild(_ *genserver.Self, r startChild) (process.PID, error) {
	c, err := s.add(r.Child)
	if err != nil {
		return process.PID{}, err
	}
	if err := s.start(c); err != nil {
		s.remove(c)
		return process.PID{}, err
	}
	return c.pid, nil
}

// find is the child of an id.
func (s *state) find(id string) (*child, error) {
	if c := s.byID[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrNoChild, id)
}

func (s *state) stopChild(_ *genserver.Self, r stopChild) (bool, error) {
	c, err := s.find(r.ID)
	if err != nil {
		return false, err
	}
	s.stop(c)
	if c.Restart == Temporary {
		s.remove(c)
	}
	return true, nil
}

func (s *state) restartChild(_ *genserver.Self, r restartChild) (process.PID, error) {
	c, err := s.find(r.ID)
	if err != nil {
		return process.PID{}, err
	}
	if !c.idle() {
		return process.PID{}, fmt.Errorf("%w: %q", ErrRunning, r.ID)
	}
	if err := s.start(c); err != nil {
		return process.PID{}, err
	}
	return c.pid, nil
}

func (s *state) deleteChild(_ *genserver.Self, r deleteChild) (bool, error) {
	c, err := s.find(r.ID)
	if err != nil {
		return false, err
	}
	if !c.idle() {
		return false, fmt.Errorf("%w: %q", ErrRunning, r.ID)
	}
	s.remove(c)
	return true, nil
}

func (s *state) look(*genserver.Self, look) (view, error) {
	v := view{Strategy: s.strategy}
	for c := s.first; c != nil; c = c.next {
		info := Info{ID: c.ID, PID: c.pid, Restart: c.Restart, Supervisor: c.supervisor, Waiting: c.waiting, Restarts: c.restarts}
		if !c.pid.IsZero() {
			info.Uptime = time.Since(c.since)
		}
		v.Children = append(v.Children, info)
	}
	return v, nil
}
