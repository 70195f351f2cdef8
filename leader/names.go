package leader

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/process"
)

// The global names of an election have one prefix: one is the leader's, and one is that of each candidate.
const (
	leaderPrefix = "kith.leader/"
	leaderSuffix = "/leader"
	metaValue    = "value"
	metaPriority = "priority"
)

func prefixOf(election string) string { return leaderPrefix + election + "/" }

// LeaderName is the global name of the process that stands for the leader of an election on Names.
func LeaderName(election string) string { return leaderPrefix + election + leaderSuffix }

// names is the available backend.
type names struct {
	rt *process.Runtime
	r  *global.Registry
}

// Names has elections rest on global names: available in every partition. rt and r belong to one node.
func Names(rt *process.Runtime, r *global.Registry) Backend {
	return &names{rt: rt, r: r}
}

func (n *names) node() string            { return n.rt.Node().Name() }
func (n *names) life() context.Context   { return n.rt.Node().Context() }
func (n *names) ranks() bool             { return true }
func (n *names) patience() time.Duration { return n.rt.Node().Tick() }

// idle is a process that exists.
func idle(self *process.Process) error {
	<-self.Context().Done()
	return nil
}

func (n *names) enter(ctx context.Context, election string, priority int) (func(), error) {
	pid := n.rt.Spawn(idle)
	name := fmt.Sprintf("%s%016x-%d", prefixOf(election), pid.Incarnation, pid.ID)
	err := n.r.Register(ctx, name, pid, global.WithMeta(global.Meta{metaPriority: strconv.Itoa(priority)}))
	leave := func() { n.rt.Exit(pid, process.ErrKill) }
	if err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

func (n *names) try(ctx context.Context, election, value string) (*mandate, error) {
	name := LeaderName(election)
	m, _, _ := n.r.MonitorName(name)
	pid := n.rt.Spawn(idle)
	version, err := n.r.RegisterVersion(ctx, name, pid, global.WithMeta(global.Meta{metaValue: value}),
		global.WithResolver(global.ResolveNotify))
	if err != nil {
		m.Close()
		n.rt.Exit(pid, process.ErrKill)
		if errors.Is(err, global.ErrTaken) {
			return nil, nil
		}
		return nil, err
	}
	mctx, end := context.WithCancelCause(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer m.Close()
		defer n.rt.Exit(pid, process.ErrKill) // and with it the name
		n.hold(mctx, end, m, name, pid)
	}()
	release := func() { end(ErrResigned); <-done }
	return &mandate{ctx: mctx, epoch: version.Clock, release: release}, nil
}

// hold ends a mandate when the name is not its process's any more, or in doubt.
func (n *names) hold(ctx context.Context, end context.CancelCauseFunc, m *global.Monitor, name string, pid process.PID) {
	const perTick = 8
	look := time.NewTicker(max(n.rt.Node().Tick()/perTick, time.Millisecond))
	defer look.Stop()
	down := n.rt.Node().Context().Done()
	for {
		if have, ok := n.r.Whereis(name); !ok || have != pid {
			end(fmt.Errorf("%w: %v has the name", ErrDeposed, have))
			return
		}
		select {
		case _, open := <-m.Events():
			if !open {
				end(fmt.Errorf("%w: names are closed", ErrDeposed))
				return
			}
		case <-look.C:
		case <-down:
			end(fmt.Errorf("%w: the node has stopped", ErrDeposed))
			return
		case <-ctx.Done():
			return
		}
	}
}

// namesView is kept by the events of one monitor, so that what it shows is true of one moment.
type namesView struct {
	m       *global.Monitor
	running sync.WaitGroup

	mu         sync.Mutex // guards the fields below
	leader     global.Entry
	led, lost  bool
	priorities map[string]int // of candidates, by name
}

func (n *names) watch(election string, changed func()) view {
	v := &namesView{priorities: map[string]int{}}
	var list []global.Entry
	v.m, list = n.r.Monitor(prefixOf(election), global.Queue(0))
	for _, e := range list {
		v.apply(global.Event{Kind: global.Registered, Entry: e})
	}
	v.running.Go(func() {
		for ev := range v.m.Events() {
			v.apply(ev)
			changed()
		}
		changed()
	})
	return v
}

func (v *namesView) apply(ev global.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	gone := ev.Kind == global.Unregistered
	switch p, err := strconv.Atoi(ev.Entry.Meta[metaPriority]); {
	case strings.HasSuffix(ev.Entry.Name, leaderSuffix):
		v.leader, v.led, v.lost = ev.Entry, !gone, gone && ev.Reason == global.NodeDown
	case gone:
		delete(v.priorities, ev.Entry.Name)
	case err == nil:
		v.priorities[ev.Entry.Name] = p
	}
}

func (v *namesView) look(context.Context) (Leader, bool, bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := Leader{Node: v.leader.PID.Node, Epoch: v.leader.Version.Clock, Value: v.leader.Meta[metaValue]}
	return l, v.led, v.lost, nil
}

func (v *namesView) outranked(priority int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.priorities {
		if p > priority {
			return true
		}
	}
	return false
}

func (v *namesView) stop() {
	v.m.Close()
	v.running.Wait()
}
