package chat_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kith-mesh/kith/chat"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
)

// gate is an output that, once it is shut, holds whoever writes.
type gate struct {
	out            *screen
	shut, entering chan struct{}
	open           chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	select {
	case <-g.shut:
		select {
		case g.entering <- struct{}{}:
		default:
		}
		<-g.open
	default:
	}
	return g.out.Write(p)
}

// TestKilled: when Run returns, nothing of the chat writes to its output any more, also where its process was killed in the
// middle of that.
func TestKilled(t *testing.T) {
	s := newSite(t, meshtest.New(t, 1).Node(1))
	g := &gate{shut: make(chan struct{}), entering: make(chan struct{}, 1), open: make(chan struct{})}
	alice := join(t, s, "alice", func(c *chat.Config) {
		g.out = c.Out.(*screen)
		c.Out = g
	})
	close(g.shut)
	if _, err := alice.in.Write([]byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	<-g.entering
	if err := s.runtime.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-alice.ended:
		t.Errorf("Run has returned (%v) while its process writes", err)
		alice.ended <- err
	case <-time.After(100 * time.Millisecond):
	}
	close(g.open)
	if err := <-alice.ended; !errors.Is(err, process.ErrClosed) {
		t.Errorf("%v", err)
	}
	alice.ended <- nil
}
