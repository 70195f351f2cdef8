package chat

import (
	"context"
	"errors"
	"sync"

	"github.com/kith-mesh/kith/chat/internal/talk"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/rpc"
)

// watch makes sure that the groups of every node are known, opens the talk with it, and then hands on every change, until ctx ends.
func (u *user) watch(ctx context.Context) {
	n := u.cfg.Runtime.Node()
	nodes := n.Monitor()
	defer nodes.Close()
	meet, cancel := context.WithDeadline(ctx, u.start.Add(talk.OpenWait))
	defer cancel()
	silent := u.settle(meet, n.Nodes())

	// Its events go on into the mailbox at once, so that its queue needs no bound of its own.
	groups, members := u.scope.MonitorAll(pg.Queue(0))
	defer groups.Close()
	opened := talk.Opened{Groups: make(map[string][]talk.ID, len(members)), Nodes: n.Nodes(), Silent: silent}
	for name, pids := range members {
		if name != talk.Users {
			opened.Groups[name] = idsOf(pids)
		}
	}
	// A user who came after the snapshot comes again as an event, and once is enough.
	for _, m := range u.scope.Details(talk.Users) {
		opened.Users = append(opened.Users, userOf(m.PID, m.Meta))
	}
	u.post(ctx, opened)
	for {
		select {
		case ev, ok := <-nodes.Events():
			if !ok {
				return
			}
			u.post(ctx, nodeEvent(ev))
		case ev, ok := <-groups.Events():
			if !ok {
				return
			}
			if ev := groupEvent(ev); ev != nil {
				u.post(ctx, ev)
			}
		case <-ctx.Done():
			return
		}
	}
}

// settle makes a round trip to every node. It comes back behind all that the node had sent, so whoever joined there
// before our own joining arrived is known here now, and whoever joins later knows us. It returns the nodes that did not
// answer in time.
func (u *user) settle(ctx context.Context, nodes []string) (silent []string) {
	if err := u.scope.WaitReady(ctx); err != nil {
		u.log.Debug().Err(err).Msg("not every node has told its rooms")
	}
	var wg sync.WaitGroup
	var mu sync.Mutex // guards silent
	for _, name := range nodes {
		wg.Go(func() {
			// Any answer is a round trip, an error too.
			if err := u.cfg.Calls.Call(ctx, name, "kith.echo", nil, nil); errors.Is(err, rpc.ErrTimeout) || ctx.Err() != nil {
				u.log.Debug().Err(err).Str("peer", name).Msg("no answer")
				mu.Lock()
				defer mu.Unlock()
				silent = append(silent, name)
			}
		})
	}
	wg.Wait()
	return silent
}

func nodeEvent(ev node.Event) talk.Event {
	if ev.Up {
		return talk.NodeUp{Node: ev.Peer.Name}
	}
	return talk.NodeDown{Node: ev.Peer.Name, Reason: string(ev.Reason)}
}

// groupEvent is what a change of a group means, nil for nothing.
func groupEvent(ev pg.Event) talk.Event {
	lost := ev.Reason != "" && ev.Reason != node.ReasonShutdown
	switch users := ev.Group == talk.Users; {
	case ev.Kind == pg.Joined && users:
		return talk.Came{Users: usersOf(ev)}
	case ev.Kind == pg.Updated && users:
		return talk.Changed{Users: usersOf(ev)}
	case ev.Kind == pg.Left && users:
		return talk.Went{IDs: idsOf(ev.PIDs), Lost: lost}
	case ev.Kind == pg.Joined:
		return talk.Joined{Group: ev.Group, IDs: idsOf(ev.PIDs)}
	case ev.Kind == pg.Left:
		return talk.Left{Group: ev.Group, IDs: idsOf(ev.PIDs), Lost: lost}
	case ev.Kind == pg.Missed:
		return talk.Missed{Group: ev.Group, Node: ev.Node.Name, Count: ev.Count}
	}
	return nil
}

// usersOf are the users that an event is about.
func usersOf(ev pg.Event) []talk.User {
	out := make([]talk.User, len(ev.PIDs))
	for i, p := range ev.PIDs {
		out[i] = userOf(p, ev.Meta[p])
	}
	return out
}
