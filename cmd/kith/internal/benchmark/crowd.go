package benchmark

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/kith-mesh/kith/chat"
	"github.com/kith-mesh/kith/internal/crowd"
)

const (
	// crowdUsers are how many sit in one room, a third of them on each node.
	crowdUsers = 1000
	// crowdRate is how many messages a second they say together, crowdSpeakers how many of each node speak.
	crowdRate, crowdSpeakers = 200, 7
	// crowdTime is for how long.
	crowdTime = 8 * time.Second
)

// crowdWish is how many users are to come on a node, under which nicks, and how many there are in all.
type crowdWish struct {
	Prefix       string
	Count, Total int
}

// gather has users of this node enter the room, until each sees all.
func (s *site) gather(ctx context.Context, w crowdWish) (bool, error) {
	s.audience = crowd.New(s.node.Context())
	err := s.audience.Enter(ctx, w.Prefix, w.Count, w.Total, func(ctx context.Context, nick string, in io.Reader, out io.Writer) error {
		return chat.Run(ctx, chat.Config{
			Runtime: s.rt, Groups: s.groups, Calls: s.calls, Names: s.names, In: in, Out: out, Nick: nick, Plain: true,
		})
	})
	return err == nil, err
}

// speech is how many messages are to be said on a node, how often, and how many will come in all.
type speech struct {
	Count, Total int
	Every        time.Duration
}

// speak has users of this node speak, until all here have heard all, and returns how long the messages took.
func (s *site) speak(ctx context.Context, sp speech) (map[int]int, error) {
	took, err := s.audience.Speak(ctx, crowdSpeakers, sp.Count, sp.Total, sp.Every)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLost, err)
	}
	return took.Sparse(), nil
}

// disperse ends the chats of this node.
func (s *site) disperse() {
	if s.audience != nil {
		s.audience.Leave()
		s.audience = nil
	}
}

// measureCrowd is many users of three processes in one room, of whom some speak.
func measureCrowd(t *turn) error {
	if err := t.start(others...); err != nil {
		return err
	}
	defer t.here.disperse()
	nodes := append([]string{t.Name}, others...)
	each, length := t.many(crowdUsers)/len(nodes), t.pace(crowdTime)
	began := time.Now()
	err := t.onAll(nodes, func(name string) error {
		nick, _, _ := strings.Cut(name, "@")
		_, err := ask[crowdWish, bool](t, name, "gather", crowdWish{Prefix: nick + "-", Count: each, Total: each * len(nodes)})
		return err
	})
	if err != nil {
		return fmt.Errorf("filling the room: %w", err)
	}
	t.say("%d users in one room after %.1f s", each*len(nodes), time.Since(began).Seconds())
	count := int(length.Seconds() * crowdRate / float64(len(nodes)))
	began = time.Now()
	all := new(crowd.Times)
	var mu sync.Mutex // guards all
	err = t.onAll(nodes, func(name string) error {
		part, err := ask[speech, map[int]int](t, name, "speak", speech{
			Count: count, Total: count * len(nodes), Every: time.Second * time.Duration(len(nodes)) / crowdRate,
		})
		mu.Lock()
		defer mu.Unlock()
		all.MergeSparse(part)
		return err
	})
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	t.figures["chat_crowd_p50_ms"] = float64(all.Quantile(0.5)) / float64(time.Millisecond)
	t.figures["chat_crowd_p99_ms"] = float64(all.Quantile(0.99)) / float64(time.Millisecond)
	t.figures["chat_crowd_deliveries_per_s"] = float64(all.Count()) / took
	return nil
}
