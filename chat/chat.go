package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/chat/internal/talk"
	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/history"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// Scope is the scope of the groups that are rooms. A room's group has the room's name.
const Scope = "chat"

// DefaultRoom is the room when Config.Room is empty.
const DefaultRoom = "lobby"

// Config says who chats and through what. Runtime, Groups, Calls, Names and Nick are required.
type Config struct {
	// Runtime, Groups, Calls and Names are the processes, groups, calls and global names of one node.
	Runtime *process.Runtime
	Groups  *pg.Groups
	Calls   *rpc.Server
	Names   *global.Registry
	// History is where messages are kept: see OpenHistory. Nil means nowhere.
	History *history.Log
	// In is where lines come from. It is read until it ends; a Read that blocks outlives Run.
	In io.Reader
	// Out is where lines go.
	Out io.Writer
	// Err is for messages that are not part of the chat. Nil means nowhere.
	Err io.Writer
	// Plain prints lines as scripts expect them, whatever In and Out are. Without it the chat is plain unless both are
	// *os.File and a terminal, which then is taken over (FullScreen).
	Plain bool
	// Nick is the user's name, and Room the first room; empty means DefaultRoom.
	Nick, Room string
	// Log receives log lines. The zero value logs nothing.
	Log zerolog.Logger

	queue int // how many changes of groups wait for the talk; zero: pg.DefaultQueue
}

// CheckName returns nil when s may be a nick or a room, else an error that wraps ErrBadName and says why not.
func CheckName(s string) error { return talk.CheckName(s) }

// Run chats until the input ends, the user quits, ctx is done or the node stops, and then leaves the rooms. It blocks.
// Any number of users may Run on one node at once. Errors: ErrBadName, ErrNickTaken, ErrOutput, and process.ErrClosed or
// global.ErrClosed when the node stopped under it. The end of ctx is no error.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Room == "" {
		cfg.Room = DefaultRoom
	}
	if err := CheckName(cfg.Nick); err != nil {
		return fmt.Errorf("nick: %w", err)
	}
	if err := CheckName(cfg.Room); err != nil {
		return fmt.Errorf("room: %w", err)
	}
	if err := register(cfg.Runtime); err != nil {
		return err
	}
	if err := cfg.Names.RegisterResolver(resolver, earlier); err != nil && !errors.Is(err, global.ErrTaken) {
		return err
	}
	scope, err := cfg.Groups.Scope(Scope)
	if err != nil {
		return err
	}
	front := newFront(cfg)
	defer front.Close()

	wanted := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	u := newUser(cfg, scope, front)
	done, ended := make(chan error, 1), make(chan struct{})
	var decided atomic.Bool // whether the function runs
	pid := cfg.Runtime.Spawn(func(self *process.Process) error {
		if decided.CompareAndSwap(false, true) {
			defer close(ended)
			done <- u.run(ctx, self)
		}
		return nil
	})
	if pid == (process.PID{}) {
		return process.ErrClosed
	}
	// The function reports its own end, unless the process was killed before it began.
	stop := cfg.Runtime.Watch(pid, func(reason error) {
		select {
		case done <- fmt.Errorf("%w: %v", process.ErrClosed, reason):
		default:
		}
	})
	defer stop()
	err = <-done
	if cancel(); !decided.CompareAndSwap(false, true) {
		<-ended // a process that was killed may still be writing to Out
	}
	if failed := front.Close(); failed != nil && wanted.Err() == nil && (err == nil || errors.Is(err, ErrOutput)) {
		err = fmt.Errorf("%w: %w", ErrOutput, failed) // which ended the chat
	}
	return err
}
