package rpc

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kith-mesh/kith/node"
)

// TestCancellation: beyond ERPC, giving up reaches the function.
func TestCancellation(t *testing.T) {
	a, b, _, _ := pair(t)
	for _, target := range []string{nameA, nameB} {
		t.Run(target, func(t *testing.T) {
			s := map[string]*Server{nameA: a, nameB: b}[target]
			block := newBlocker()
			register(t, s, "block", block.call)
			ctx, cancel := context.WithCancel(context.Background())
			errs := make(chan error, 1)
			go func() { errs <- a.Call(ctx, target, "block", 1, nil) }()
			fctx := <-block.started
			if d, ok := fctx.Deadline(); !ok || time.Until(d) > DefaultTimeout || time.Until(d) < DefaultTimeout/2 {
				t.Errorf("the function's deadline is in %s", time.Until(d))
			}
			cancel()
			if err := <-errs; !errors.Is(err, context.Canceled) || ErrorKind(err) != KindCancelled {
				t.Errorf("%v", err)
			}
			if err := <-block.ended; !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			if err := a.Call(ctx, target, "block", 1, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			select {
			case <-block.started:
				t.Error("a call that was cancelled before it began was sent")
			case <-time.After(20 * time.Millisecond):
			}
		})
	}
}

// TestFrozenPeerDelaysNobody: many callers of a node that does not read leave calls to others alone.
func TestFrozenPeerDelaysNobody(t *testing.T) { synctest.Test(t, frozenPeerDelaysNobody) }

func frozenPeerDelaysNobody(t *testing.T) {
	a, _, na, nb := pair(t)
	na.mesh.add(t, nameC)
	na.window = 8
	thaw := nb.freeze()
	defer thaw()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() { _ = a.Call(ctx, nameB, "kith.echo", 1, nil) })
	}
	eventually(t, "the window is full", func() bool { return na.count("request") >= 8 })
	for range 1000 {
		begin := time.Now()
		if err := a.Call(context.Background(), nameC, "kith.echo", 1, nil); err != nil || time.Since(begin) > 0 {
			t.Fatalf("%v after %s", err, time.Since(begin))
		}
	}
	cancel()
	wg.Wait()
}

// TestReconnect: a call finds the next life of a node, and the end of the last does not disturb it.
func TestReconnect(t *testing.T) {
	a, _, na, nb := pair(t)
	for range 200 {
		nb.close()
		nb, _ = na.mesh.add(t, nameB)
		if err := a.Call(context.Background(), nameB, "kith.echo", 1, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClose(t *testing.T) {
	a, b, na, _ := pair(t)
	block := newBlocker()
	register(t, b, "block", block.call)
	errs := make(chan error, 2)
	go func() { errs <- a.Call(context.Background(), nameB, "block", 1, nil) }()
	go func() { errs <- b.Call(context.Background(), nameB, "block", 1, nil) }()
	<-block.started
	<-block.started
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-block.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		err := <-errs
		if !errors.Is(err, ErrNoConnection) && !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	}
	if err := b.Call(context.Background(), nameA, "kith.echo", 1, nil); !errors.Is(err, ErrClosed) || !errors.Is(err, node.ErrClosed) {
		t.Errorf("%v", err)
	}
	if err := a.Call(context.Background(), nameB, "kith.echo", 1, nil); !errors.Is(err, ErrNoConnection) {
		t.Errorf("%v", err)
	}
	if err := b.Register("late", HandlerFunc(echo)); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
	na.cancel() // the node's end is the server's
	eventually(t, "the server closes with its node", func() bool {
		return errors.Is(a.Call(context.Background(), nameA, "kith.echo", 1, nil), ErrClosed)
	})
}

func TestShutdownWaits(t *testing.T) {
	a, b, _, _ := pair(t)
	block := newBlocker()
	register(t, b, "block", block.call)
	errs := make(chan error, 1)
	go func() { errs <- a.Call(context.Background(), nameB, "block", 1, nil) }()
	<-block.started
	done := make(chan error, 1)
	go func() { done <- b.Shutdown(context.Background()) }()
	eventually(t, "others are refused", func() bool {
		return errors.Is(a.Call(context.Background(), nameB, "kith.echo", 1, nil), ErrNoConnection)
	})
	select {
	case err := <-done:
		t.Fatalf("shut down under a running call: %v", err)
	default:
	}
	close(block.let)
	if err := <-errs; err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestBadFrames: what a broken peer sends is counted, answered where it can be, and hurts nobody.
func TestBadFrames(t *testing.T) {
	a, b, na, _ := pair(t)
	_ = a
	send := func(data ...byte) {
		if err := na.Post(node.ID{Name: nameB}, node.ProtocolCalls, data); err != nil {
			t.Fatal(err)
		}
	}
	send(99, 1, 2, 3)
	send(byte(frameRequest), flagUnknown, 7)
	send(byte(frameAnswer), 1, 0)       // to nobody
	send(byte(frameItem), 1, 0)         // to nobody
	send(byte(frameCancel), 1)          // of nothing
	send(byte(frameCredit), 1, 1)       // of nothing
	send(byte(frameFailure), 1, 99, 42) // to nobody
	eventually(t, "all are counted", func() bool {
		st := b.Stats() // the failure to nobody is the third late one
		return st.BadFrames == 2 && st.LateAnswers == 3
	})
	if err := a.Call(context.Background(), nameB, "kith.echo", 1, nil); err != nil {
		t.Error(err)
	}
	if a.Stats().LateAnswers != 1 {
		t.Error("the request that could not be read was not answered")
	}
}
