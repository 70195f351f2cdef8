package process

import (
	"context"
	"sync"
	"sync/atomic"
)

// Message is what a process receives: the Go value that was sent. Within one node the value itself is passed, so it
// must not be changed after it was sent (SEND-10); from another node comes a copy.
type Message = any

// Func is the body of a process that keeps a goroutine. The process ends when it returns: normally for nil, else with
// the error as its reason. A panic ends it too, with a *PanicError, and leaves the program alive.
type Func func(self *Process) error

// Process is the view that a process has of itself. Its methods are for the goroutine that runs the process, except
// PID, Runtime and Context, which any goroutine may call.
type Process struct {
	rt *Runtime
	id uint64

	// exiting is set, with mu held, once the process has been told to end, or has ended.
	exiting atomic.Bool
	ended   atomic.Bool // dead, for who holds no lock
	// ctx is made, with mu held, when somebody asks for it.
	ctx atomic.Pointer[processContext]

	mu       sync.Mutex // guards the fields below
	dead     bool
	trap     bool   // exit signals arrive as messages
	waiting  bool   // the owner is parked on wake
	running  bool   // a goroutine is at work for the behaviour
	mark     uint32 // queue length from which the mailbox is reported
	warnAt   uint32 // queue length at which the next report is due
	inHand   uint32 // length of batch when it was taken
	queue    []Message
	wake     chan struct{}
	reason   error
	name     string
	watchers *watch   // who watches this process
	monitors *Monitor // what this process monitors
	links    *linkSet
	aliases  map[uint64]*alias
	bound    *bound // nil for an unbounded mailbox

	// The fields below belong to the goroutine that runs the process.
	body  Behaviour // nil for a function
	batch []Message // taken from queue, from head on not received yet
	head  int
	out   chan Message // see Messages
}

type processContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

// PID is the identity of the process.
func (p *Process) PID() PID { return p.rt.pid(p.id) }

// Runtime is the runtime that runs the process.
func (p *Process) Runtime() *Runtime { return p.rt }

type selfKey struct{}

// FromContext is the process whose Context ctx is, or is derived from.
func FromContext(ctx context.Context) (*Process, bool) {
	p, ok := ctx.Value(selfKey{}).(*Process)
	return p, ok
}

// Context is cancelled when the process is told to end, with the reason as its cause, and when it has ended. What a
// process starts or waits for should hang on it.
func (p *Process) Context() context.Context {
	if own := p.ctx.Load(); own != nil {
		return own.Context
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.ctx.Load()
	if own == nil {
		ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), selfKey{}, p))
		own = &processContext{Context: ctx, cancel: cancel}
		p.ctx.Store(own)
		if p.exiting.Load() {
			cancel(p.reason)
		}
	}
	return own.Context
}

// TrapExit decides what an exit signal does to the process: with true it arrives in the mailbox as an Exit, with
// false, the default, it ends the process (LINK-12). ErrKill cannot be trapped. It returns the setting before.
func (p *Process) TrapExit(trap bool) (before bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, p.trap = p.trap, trap
	return before
}

// MailboxLen is how many messages wait, counting those that the process has taken in hand but may not have received
// yet. Any goroutine may call it.
func (p *Process) MailboxLen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) + int(p.inHand)
}
