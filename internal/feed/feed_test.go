package feed_test

import (
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/internal/feed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const overflow = -1

// TestOverflow: what does not fit is counted, said once, and nothing follows until Restart.
func TestOverflow(t *testing.T) {
	const limit, pushed = 3, 10
	f := feed.New(limit, overflow)
	for i := range pushed {
		f.Push(i)
	}
	if f.Len() != limit+1 || f.Dropped() != pushed-limit {
		t.Fatalf("%d wait, %d are dropped", f.Len(), f.Dropped())
	}
	go f.Run()
	for _, want := range []int{0, 1, 2, overflow} {
		if got := <-f.Events(); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	}
	f.Push(pushed)
	if f.Dropped() != pushed-limit+1 {
		t.Fatal("an event follows the overflow")
	}
	var owner sync.Mutex
	if !f.Restart(&owner, func() {}) {
		t.Fatal("it is closed")
	}
	f.Push(7)
	if got := <-f.Events(); got != 7 {
		t.Fatalf("got %d", got)
	}
	f.Close()
	f.Close()
	if _, open := <-f.Events(); open {
		t.Fatal("an event after Close")
	}
	if f.Restart(&owner, func() { t.Error("a snapshot of a closed feed") }) {
		t.Error("it is open")
	}
}

// TestSnapshotAndEventsFit adds up what is pushed, restarts in the midst of it, and must come to the same sum.
func TestSnapshotAndEventsFit(t *testing.T) {
	f := feed.New(0, overflow)
	go f.Run()
	defer f.Close()
	const count = 20_000
	var owner sync.Mutex
	sum := 0 // guarded by owner
	var pushing sync.WaitGroup
	pushing.Go(func() {
		for i := range count {
			owner.Lock()
			sum += i
			f.Push(i)
			owner.Unlock()
		}
	})
	mine := 0
	const total = count * (count - 1) / 2
	for n := 1; mine != total; n++ {
		if n%100 == 0 {
			f.Restart(&owner, func() { mine = sum })
			continue
		}
		mine += <-f.Events()
	}
	pushing.Wait()
	if f.Len() != 0 || f.Dropped() != 0 {
		t.Errorf("%d are left, %d dropped", f.Len(), f.Dropped())
	}
}
