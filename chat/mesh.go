package chat

import (
	"context"
	"sync"

	"github.com/kith-mesh/kith/chat/internal/talk"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
)

// watch makes sure that the groups of every node are known, opens the talk with it, and then hands on every change, until ctx ends.
func (u *user) watch(ctx context.Context) {
	n := u.cfg.Runtime.Node()
	nodes := n.Monitor()
	defer nodes.Close()
	meet, cancel := context.WithDeadline(ctx, u.start.Add(talk.OpenWait))
	defer cancel()
	u.settle(meet, n.Nodes())

	groups, members := u.scope.MonitorAll()
	defer groups.Close()
	opened := talk.Opened{Groups: make(map[string][]talk.ID, len(members)), Nodes: n.Nodes()}
	for name, pids := range members {
		opened.Groups[name] = idsOf(pids)
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
			u.post(ctx, groupEvent(ev))
		case <-ctx.Done():
			return
		}
	}
}

// settle makes a round trip to every node. It comes back behind all that the node had sent, so whoever joined there
// before our own joining arrived is known here now, and whoever joins later knows us.
func (u *user) settle(ctx context.Context, nodes []string) {
	var wg sync.WaitGroup
	for _, name := range nodes {
		wg.Go(func() {
			if err := u.cfg.Calls.Call(ctx, name, "kith.echo", nil, nil); err != nil {
				// Any answer is a round trip, and a node that gives none in time is not waited for.
				u.log.Debug().Err(err).Str("peer", name).Msg("no echo")
			}
		})
	}
	wg.Wait()
}

func nodeEvent(ev node.Event) talk.Event {
	if ev.Up {
		return talk.NodeUp{Node: ev.Peer.Name}
	}
	return talk.NodeDown{Node: ev.Peer.Name, Reason: string(ev.Reason)}
}

func groupEvent(ev pg.Event) talk.Event {
	if ev.Kind == pg.Joined {
		return talk.Joined{Group: ev.Group, IDs: idsOf(ev.PIDs)}
	}
	lost := ev.Reason != "" && ev.Reason != node.ReasonShutdown
	return talk.Left{Group: ev.Group, IDs: idsOf(ev.PIDs), Lost: lost}
}
