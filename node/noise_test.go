package node_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// lines is a log that several goroutines write.
type lines struct {
	mu  sync.Mutex // guards the field below
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), what)
}

// TestBrokenMemberDoesNotFillTheLog: messages that make no sense are all counted, and few are told of.
func TestBrokenMemberDoesNotFillTheLog(t *testing.T) {
	var log lines
	n := start(t, "a", func(c *node.Config) { c.Log = zerolog.New(&log) })
	const messages = 100
	for range messages {
		if err := n.PublishOrdered(node.FrameSubject(n.ID().Incarnation), []byte{1, 2}); err != nil {
			t.Fatal(err)
		}
		if err := n.PublishControl(node.ControlSubject(n.ID().Incarnation), []byte("nonsense")); err != nil {
			t.Fatal(err)
		}
	}
	meshtest.Eventually(t, "the count", func() bool { return n.Counters()["messages_corrupt"] >= 2*messages })
	if told := log.count("does not parse"); told == 0 || told > 2 {
		t.Errorf("told of %d of them", told)
	}
}
