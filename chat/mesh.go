package chat

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/kith-mesh/kith/chat/internal/talk"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// settle makes sure, within a second, that the names and groups of every node are known here. It returns the nodes that
// did not answer.
func (u *user) settle(ctx context.Context, nodes []string) (silent []string) {
	ctx, cancel := context.WithTimeout(ctx, talk.OpenWait)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := u.cfg.Names.Sync(ctx); err != nil {
			u.log.Debug().Err(err).Msg("not every node has told its names")
		}
	})
	wg.Go(func() {
		if err := u.scope.WaitReady(ctx); err != nil {
			u.log.Debug().Err(err).Msg("not every node has told its rooms")
		}
	})
	silent = u.roundTrip(ctx, nodes)
	wg.Wait()
	return silent
}

// roundTrip asks every node something. The answers come back behind all that the nodes had sent. It returns the nodes
// that did not answer in time.
func (u *user) roundTrip(ctx context.Context, nodes []string) (silent []string) {
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

// watch opens the talk with the state of the mesh, and then hands on every change, until ctx ends. Before, it makes a
// round trip to every node that answers: whoever joined there before our own joining arrived is known here then, and
// whoever joins later knows us.
func (u *user) watch(ctx context.Context, silent []string) {
	n := u.cfg.Runtime.Node()
	nodes := n.Monitor()
	defer nodes.Close()
	meet, cancel := context.WithTimeout(ctx, talk.OpenWait)
	defer cancel()
	u.roundTrip(meet, slices.DeleteFunc(n.Nodes(), func(name string) bool { return slices.Contains(silent, name) }))

	groups, members := u.scope.MonitorAll(pg.Queue(cmp.Or(u.cfg.queue, pg.DefaultQueue)))
	defer groups.Close()
	users, rooms := u.state(members)
	u.post(ctx, talk.Opened{Users: users, Groups: rooms, Nodes: n.Nodes()})
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
			if ev.Kind == pg.Overflow {
				u.resync(ctx, groups)
			} else if ev := groupEvent(ev); ev != nil {
				u.post(ctx, ev)
			}
		case <-ctx.Done():
			return
		}
	}
}

// resync tells the talk what is so now, since changes came faster than they were taken.
func (u *user) resync(ctx context.Context, groups *pg.Monitor) {
	u.log.Warn().Uint64("events", groups.Dropped()).Msg("changes of the rooms came too fast: what is so now is read anew")
	members, err := groups.Resync()
	if err != nil {
		return // it has ended, and its channel is closed
	}
	users, rooms := u.state(members)
	u.post(ctx, talk.Resynced{Users: users, Groups: rooms})
}

// state makes of a snapshot who is there and who is in which room. A user who came after the snapshot comes again as an
// event, and once is enough.
func (u *user) state(members map[string][]process.PID) (users []talk.User, rooms map[string][]talk.ID) {
	rooms = make(map[string][]talk.ID, len(members))
	for name, pids := range members {
		if name != talk.Users {
			rooms[name] = idsOf(pids)
		}
	}
	for _, m := range u.scope.Details(talk.Users) {
		users = append(users, userOf(m.PID, m.Meta))
	}
	return users, rooms
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
