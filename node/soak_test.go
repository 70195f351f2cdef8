package node_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// flooding sends numbered frames to each peer as fast as its window allows, for as long as the session lasts, and checks
// the numbers of those that come. Each session has a sender of its own.
type flooding struct {
	n     *node.Node
	taken atomic.Uint64
	next  map[uint64]uint64 // the number that is due, by session; the dispatcher's
}

// flood has a node take part.
func flood(n *node.Node) error {
	return n.Handle(user, &flooding{n: n, next: map[uint64]uint64{}})
}

// PeerUp implements node.Handler.
func (f *flooding) PeerUp(p node.Peer) {
	f.next[p.Conn] = 0
	go func() {
		data := make([]byte, 1024)
		for i := uint64(0); ; i++ {
			binary.LittleEndian.PutUint64(data, i)
			err := f.n.Send(context.Background(), p.ID, user, node.NoConnect, data)
			if errors.Is(err, node.ErrNotConnected) || errors.Is(err, node.ErrClosed) {
				return
			}
			if err != nil {
				fmt.Println("error", err)
				return
			}
		}
	}()
}

// PeerDown implements node.Handler.
func (f *flooding) PeerDown(p node.Peer, _ node.Reason) { delete(f.next, p.Conn) }

// Frame implements node.Handler.
func (f *flooding) Frame(p node.Peer, data []byte) {
	if got, due := binary.LittleEndian.Uint64(data), f.next[p.Conn]; got != due {
		fmt.Println("error: frame", got, "of", p.Name, "where", due, "is due")
	}
	f.next[p.Conn]++
	f.taken.Add(1)
}

// TestNoFalseNodedown: while four processes send to each other all that their windows allow, which takes every processor
// there is, ticks come in time: nobody is taken for dead.
func TestNoFalseNodedown(t *testing.T) {
	lasts := 8 * time.Second
	if os.Getenv(soakEnv) != "" {
		lasts = 10 * time.Minute
	}
	a := start(t, "a", ticking(time.Second))
	f := &flooding{n: a, next: map[uint64]uint64{}}
	handle(t, a, f)
	seen := watch(t, a)
	var others []*process
	for _, name := range []string{"b", "c", "d"} {
		others = append(others, spawn(t, childSpec{Name: name + "@127.0.0.1", Join: []string{a.Addr()}, Tick: time.Second, Flood: true}))
	}
	meshtest.Eventually(t, "three peers", func() bool { return len(a.Nodes()) == 3 })
	meshtest.Eventually(t, "traffic", func() bool { return f.taken.Load() > 1000 })
	before, began := f.taken.Load(), time.Now()
	for end := time.After(lasts); ; {
		select {
		case <-time.After(100 * time.Millisecond):
			if list := seen.all(); len(list) != 3 {
				t.Fatalf("after %v: %+v", time.Since(began), list[3:])
			}
			for _, p := range others {
				select {
				case line := <-p.lines:
					if !strings.HasPrefix(line, "up ") {
						t.Fatalf("%s after %v: %s", p.name, time.Since(began), line)
					}
				default:
				}
			}
			continue
		case <-end:
		}
		break
	}
	took := time.Since(began).Seconds()
	t.Logf("%.0f frames of 1 KiB a second came to one of four nodes", float64(f.taken.Load()-before)/took)
	for _, p := range a.Report().Peers {
		if p.Missed > 1 {
			t.Errorf("%+v", p)
		}
	}
}
