package chat

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/chat/internal/talk"
	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// user is the process of one user: it takes events from its mailbox, asks the talk what they mean, and does that.
type user struct {
	cfg   Config
	scope *pg.Scope
	front front
	log   zerolog.Logger

	self    *process.Process
	talk    *talk.Talk
	courier *courier
	keeper  *keeper // nil when there is no history
	timer   *time.Timer
	wake    time.Time // when the timer is due
	reading bool      // the input is being read
	waiting []typed   // input that has been taken, whose reader waits until the next may come
	view    viewer
	over    atomic.Bool // the talk has quit: what it waited for is done or given up
}

// typed is an event from the front end. Its reader goes on when done is closed.
type typed struct {
	event talk.Event
	done  chan struct{}
}

// errQuit ends the loop in good order.
var errQuit = errors.New("quit")

func newUser(cfg Config, scope *pg.Scope, front front) *user {
	log := cfg.Log.With().Str("component", "chat").Str("nick", cfg.Nick).Logger()
	return &user{cfg: cfg, scope: scope, front: front, log: log}
}

// run is the process. It ends when ctx does, the talk is over, or the output cannot be written.
func (u *user) run(ctx context.Context, self *process.Process) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pid := self.PID()
	u.self = self
	silent := u.settle(ctx, u.cfg.Runtime.Node().Nodes())
	since, err := u.claim(ctx, u.cfg.Nick)
	if err != nil {
		return u.ended(ctx, err)
	}
	u.talk = talk.New(talk.Config{
		Self: talk.User{ID: idOf(pid), Nick: u.cfg.Nick, Since: since}, Room: u.cfg.Room, Now: time.Now(),
		History: u.cfg.History != nil,
	})
	u.courier = newCourier(ctx, u.cfg.Runtime, u.log)
	if u.cfg.History != nil {
		u.keeper = newKeeper(self.Runtime().Node().Context(), u.cfg.History, func(text string) { u.post(ctx, talk.Failed{Text: text}) },
			func() { u.post(ctx, talk.Kept{}) })
		defer u.lastWords()
		u.seen()
	}
	u.view = newViewer(u.front, self.Runtime().Node(), func() { u.post(ctx, refresh{}) })
	defer u.view.stop()
	u.timer = time.AfterFunc(time.Hour, func() { u.post(ctx, talk.Tick{}) })
	defer u.timer.Stop()

	if err := u.scope.JoinWith(talk.Users, metaOf(u.talk.Self()), pid); err != nil {
		return fmt.Errorf("join the users: %w", err)
	}
	go u.watch(ctx, silent)

	if err = u.loop(ctx); errors.Is(err, errQuit) {
		u.over.Store(true)
		u.courier.drain()
		err = nil
	}
	u.release(pid)
	u.leave(talk.Users)
	return u.ended(ctx, err)
}

// lastWords waits until what was said is kept. Whoever has quit waits for slow stores longer than one who was interrupted.
func (u *user) lastWords() {
	limit := drainWait
	if u.over.Load() {
		limit = lastWait
	}
	if lost := u.keeper.drain(limit); lost > 0 {
		u.log.Warn().Int("messages", lost).Msg("the chat has ended before all that was said here was in the history")
	}
}

// ended says why the chat ended: the end of ctx is no error, unless it came with the node's.
func (u *user) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && u.self.Context().Err() == nil {
		return nil
	}
	return err
}

// loop handles one message after the other.
func (u *user) loop(ctx context.Context) error {
	for {
		u.setTimer()
		msg, err := u.self.Receive(ctx)
		if err != nil {
			return err
		}
		switch msg := msg.(type) {
		case typed:
			u.waiting = append(u.waiting, msg)
			err = u.handle(ctx, msg.event)
		case talk.Event:
			err = u.handle(ctx, msg)
		case global.Conflict:
			err = u.handle(ctx, nickLost(msg))
		case refresh:
			u.view.due = true
		default:
			u.log.Debug().Type("type", msg).Msg("ignored a message that is not of the chat")
		}
		if err != nil {
			return err
		}
		u.takeInput(ctx)
		u.view.refresh(u.talk)
	}
}

// takeInput lets the front end go on when the talk is ready for its next line.
func (u *user) takeInput(ctx context.Context) {
	if !u.talk.Ready() {
		return
	}
	if !u.reading {
		u.reading = true
		go u.front.Read(ctx, func(ev talk.Event) error { return u.submit(ctx, ev) })
	}
	for _, in := range u.waiting {
		close(in.done)
	}
	u.waiting = u.waiting[:0]
}

// submit gives an event of the front end to the process and waits until the next may come, so that a script that
// writes faster than the mesh sends is held up in its pipe.
func (u *user) submit(ctx context.Context, ev talk.Event) error {
	in := typed{event: ev, done: make(chan struct{})}
	u.post(ctx, in)
	select {
	case <-in.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// post puts a message into the own mailbox.
func (u *user) post(ctx context.Context, msg any) {
	if err := u.cfg.Runtime.Send(ctx, u.self.PID(), msg); err != nil && ctx.Err() == nil {
		u.log.Warn().Err(err).Type("type", msg).Msg("the chat did not get an event of its own")
	}
}

func (u *user) setTimer() {
	if wake := u.talk.Wake(); !wake.Equal(u.wake) {
		u.wake = wake
		if wake.IsZero() {
			u.timer.Stop()
		} else {
			u.timer.Reset(time.Until(wake))
		}
	}
}

// handle asks the talk what an event means and does it.
func (u *user) handle(ctx context.Context, ev talk.Event) error {
	if _, ok := ev.(talk.Tick); ok {
		u.wake = time.Time{} // the timer has run out
	}
	for _, a := range u.talk.Handle(time.Now(), ev) {
		if err := u.do(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// do carries one action out. An error ends the chat.
func (u *user) do(ctx context.Context, a talk.Action) error {
	pid := u.self.PID()
	switch a := a.(type) {
	case talk.Show:
		if err := u.front.Show(a.Line); err != nil {
			return fmt.Errorf("%w: %w", ErrOutput, err)
		}
	case talk.Join:
		u.failed(ctx, "join "+a.Room, u.scope.Join(a.Room, pid))
	case talk.Leave:
		u.leave(a.Room)
	case talk.Say:
		u.say(ctx, a)
	case talk.ShowTyping:
		// Nobody misses it if it does not arrive.
		_, _ = u.scope.Broadcast(ctx, a.Room, talk.Typing{From: idOf(pid), Room: a.Room})
	case talk.Announce:
		u.seen()
		u.failed(ctx, "change what others know", u.scope.SetMeta(talk.Users, pid, metaOf(a.User)))
	case talk.Tell:
		u.courier.send(pidOf(a.To), talk.Told{From: u.talk.Self(), Seq: a.Seq, Text: a.Text}, func(err error) {
			u.post(ctx, talk.Undelivered{Seq: a.Seq, Reason: err.Error()})
		})
	case talk.Confirm:
		u.courier.send(pidOf(a.To), talk.Confirmed{Seq: a.Seq}, nil)
	case talk.ShowPast:
		if err := u.front.Past(a); err != nil {
			return fmt.Errorf("%w: %w", ErrOutput, err)
		}
	case talk.Recall:
		go u.recall(ctx, a)
	case talk.Open:
		go u.openBox(ctx, a)
	case talk.Empty:
		if !u.keeper.run(func(ctx context.Context) { u.emptyBox(ctx, a) }) {
			u.log.Warn().Msg("direct messages that have been shown still wait: too much waits to be kept")
		}
	case talk.Store:
		u.leaveMessage(ctx, a)
	case talk.Poke:
		u.courier.send(pidOf(a.To), talk.Mail{}, nil)
	case talk.Claim:
		go u.claimAgain(ctx, a.Nick)
	case talk.Quit:
		return errQuit
	}
	return nil
}

// say sends a message to a room or to everybody. It comes back through the own mailbox, since this user is a member.
func (u *user) say(ctx context.Context, a talk.Say) {
	group := a.Room
	if group == "" {
		group = talk.Users
	}
	d, err := u.scope.Broadcast(ctx, group, talk.Said{From: u.talk.Self(), Room: a.Room, Text: a.Text, Seq: a.Seq})
	u.failed(ctx, "send", err)
	if err == nil && a.Room != "" && u.keeper != nil {
		u.keep(roomTopic+a.Room, a.Text, a.Seq)
	}
	if len(d.Skipped) > 0 {
		u.log.Warn().Str("group", group).Int("nodes", len(d.Skipped)).Msg("slow nodes missed a message")
	}
}

// failed tells the user that something did not work.
func (u *user) failed(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		u.post(ctx, talk.Failed{Text: fmt.Sprintf("cannot %s: %v", what, err)})
	}
}

// leave leaves a group, so that the others see a departure and not a death.
func (u *user) leave(group string) {
	if err := u.scope.Leave(group, u.self.PID()); err != nil && !errors.Is(err, pg.ErrNotJoined) {
		u.log.Debug().Err(err).Str("group", group).Msg("leave")
	}
}
