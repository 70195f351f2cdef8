package chat

import (
	"time"

	"github.com/kith-mesh/kith/chat/internal/talk"
	"github.com/kith-mesh/kith/node"
)

const (
	// viewPause is the least time between two updates of a view.
	viewPause = 100 * time.Millisecond
	// rttPause is how often a view is updated though nothing happened, for the round-trip times.
	rttPause = 2 * time.Second
)

// refresh tells the process that its view may be updated again.
type refresh struct{}

// viewer gives a front end that wants it the state of the talk when it changes, and not too often. The zero value does
// nothing.
type viewer struct {
	watcher watcher
	node    *node.Node
	timer   *time.Timer
	due     bool // an update is allowed
	shown   uint64
	last    time.Time
}

func newViewer(f front, n *node.Node, wake func()) viewer {
	w, ok := f.(watcher)
	if !ok {
		return viewer{}
	}
	return viewer{watcher: w, node: n, due: true, timer: time.AfterFunc(viewPause, wake)}
}

func (v *viewer) stop() {
	if v.timer != nil {
		v.timer.Stop()
	}
}

// refresh updates the view if it is due and anything has changed.
func (v *viewer) refresh(t *talk.Talk) {
	if v.watcher == nil || !v.due {
		return
	}
	now := time.Now()
	if v.shown == t.Rev() && now.Sub(v.last) < rttPause {
		v.timer.Reset(viewPause)
		v.due = false
		return
	}
	view := t.View()
	rtt := map[string]time.Duration{}
	for _, p := range v.node.Report().Peers {
		rtt[p.ID.Name] = p.RTT
	}
	for i, n := range view.Nodes {
		if n.Gone == "" {
			view.Nodes[i].RTT = rtt[n.Name]
		}
	}
	v.watcher.Update(view)
	v.shown, v.last, v.due = t.Rev(), now, false
	v.timer.Reset(viewPause)
}
