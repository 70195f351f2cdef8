package chat_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/chat"
	"github.com/kith-mesh/kith/internal/crowd"
	"github.com/kith-mesh/kith/meshtest"
)

// TestCrowd puts many users into one room of 3 nodes and has some of them talk, 200 messages a second together: every
// message reaches every user in its sender's order. It runs with 1,000 users, and with fewer under the race detector.
func TestCrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	users, seconds := 1000, 10
	if raceEnabled {
		users, seconds = 100, 3
	}
	const perSecond, speakers = 200, 7 // of each node
	s := sites(t, meshtest.New(t, 3, meshtest.Tick(time.Second)))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var crowds []*crowd.Crowd
	for range s {
		crowds = append(crowds, crowd.New(ctx))
		defer crowds[len(crowds)-1].Leave()
	}
	// share is the part of one node in a total.
	share := func(i, total int) int { return (total + i) / len(s) }

	began := time.Now()
	onAll(s, func(i int, s *site) {
		if err := crowds[i].Enter(ctx, fmt.Sprint("u", i, "-"), share(i, users), users, s.plainChat); err != nil {
			t.Errorf("all users: %v", err)
		}
	})
	if t.Failed() {
		return
	}
	t.Logf("%d users know each other after %v", users, time.Since(began).Round(time.Millisecond))

	total := perSecond * seconds
	all := make([]*crowd.Times, len(s))
	onAll(s, func(i int, _ *site) {
		var err error
		all[i], err = crowds[i].Speak(ctx, speakers, share(i, total), total, time.Second*time.Duration(len(s))/perSecond)
		if err != nil {
			t.Errorf("all messages: %v", err)
		}
	})
	if t.Failed() {
		return
	}
	all[0].Merge(all[1])
	all[0].Merge(all[2])
	if got := all[0].Count(); got != total*users {
		t.Errorf("%d deliveries, want %d", got, total*users)
	}
	p50, p99 := all[0].Quantile(0.5), all[0].Quantile(0.99)
	t.Logf("%d deliveries, delay p50 %v, p99 %v, most %v", all[0].Count(), p50, p99, all[0].Quantile(1-1e-9))
	if p99 > 250*time.Millisecond && !raceEnabled {
		t.Errorf("p99 is %v, not under 250 ms", p99)
	}
}

// plainChat is a plain chat on this node.
func (s *site) plainChat(ctx context.Context, nick string, in io.Reader, out io.Writer) error {
	return chat.Run(ctx, chat.Config{
		Runtime: s.runtime, Groups: s.groups, Calls: s.calls, Names: s.names, In: in, Out: out, Nick: nick, Plain: true,
	})
}

// onAll does something on all nodes at once.
func onAll(s []*site, f func(i int, s *site)) {
	var wg sync.WaitGroup
	for i := range s {
		wg.Go(func() { f(i, s[i]) })
	}
	wg.Wait()
}
