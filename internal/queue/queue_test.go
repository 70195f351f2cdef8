package queue_test

import (
	"sync"
	"testing"

	"github.com/kith-mesh/kith/internal/queue"
)

func TestOrderOfEachProducer(t *testing.T) {
	const producers, each = 4, 10_000
	q := queue.New[[2]int]()
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				q.Push([2]int{p, i})
			}
		})
	}
	var next [producers]int
	var spare [][2]int
	for got := 0; got < producers*each; {
		<-q.Wake() // a value for each Push, or for several: never none for an item that is there
		spare = q.Take(spare)
		for _, item := range spare {
			if item[1] != next[item[0]] {
				t.Fatalf("producer %d: item %d comes where %d was due", item[0], item[1], next[item[0]])
			}
			next[item[0]]++
		}
		got += len(spare)
	}
	wg.Wait()
	if n := q.Len(); n != 0 {
		t.Errorf("%d items are left", n)
	}
}

func TestTakeLetsGoOfItems(t *testing.T) {
	q := queue.New[*int]()
	if n := q.Push(new(int)); n != 1 {
		t.Errorf("length %d after one Push", n)
	}
	taken := q.Take(nil)
	if len(taken) != 1 || q.Len() != 0 {
		t.Fatalf("%d taken, %d left", len(taken), q.Len())
	}
	q.Take(taken)
	if taken[0] != nil {
		t.Error("a slice that is handed back for reuse still holds its item")
	}
	if got := q.Take(nil); len(got) != 0 {
		t.Errorf("%d items out of an empty queue", len(got))
	}
}
