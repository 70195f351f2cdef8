package rpc

import (
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestPendingTable compares the table with a plain map.
func TestPendingTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			node     string
			deadline instant
		}
		var table pendingTable[uint64]
		model := map[uint64]entry{}
		closed := false
		names := rapid.SampledFrom([]string{"a", "b", "c"})
		same := func(t *rapid.T, got []uint64, keep func(entry) bool) {
			var want []uint64
			for id, e := range model {
				if !keep(e) {
					want = append(want, id)
					delete(model, id)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("took %v, want %v", got, want)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id, e := table.nextID(), entry{names.Draw(t, "node"), instant(rapid.IntRange(0, 10).Draw(t, "deadline"))}
				if _, used := model[id]; used || id == 0 {
					t.Fatalf("id %d twice", id)
				}
				if ok := table.add(id, e.node, e.deadline, id); ok == closed {
					t.Fatalf("add gave %v, closed is %v", ok, closed)
				}
				if !closed {
					model[id] = e
				}
			},
			"take": func(t *rapid.T) {
				id, name := rapid.Uint64Range(0, 50).Draw(t, "id"), names.Draw(t, "node")
				got, ok := table.take(id, name)
				e, want := model[id]
				want = want && e.node == name
				if ok != want || ok && got != id {
					t.Fatalf("take gave %d %v, want %v", got, ok, want)
				}
				if ok {
					delete(model, id)
				}
			},
			"peek": func(t *rapid.T) {
				id, name := rapid.Uint64Range(0, 50).Draw(t, "id"), names.Draw(t, "node")
				got, ok := table.peek(id, name)
				if e, want := model[id]; ok != (want && e.node == name) || ok && got != id {
					t.Fatalf("peek gave %d %v", got, ok)
				}
			},
			"node": func(t *rapid.T) {
				name := names.Draw(t, "node")
				same(t, table.takeNode(name), func(e entry) bool { return e.node != name })
			},
			"expire": func(t *rapid.T) {
				now := instant(rapid.IntRange(1, 10).Draw(t, "now"))
				same(t, table.takeExpired(now), func(e entry) bool { return e.deadline == 0 || e.deadline > now })
			},
			"close": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "really") > 0 {
					return
				}
				same(t, table.close(), func(entry) bool { return false })
				closed = true
			},
			"": func(t *rapid.T) {
				if table.len() != len(model) {
					t.Fatalf("len %d, want %d", table.len(), len(model))
				}
			},
		})
	})
}

// TestPendingTableOneWinner has an answer, a timeout and the loss of the session race for each call.
func TestPendingTableOneWinner(t *testing.T) {
	var table pendingTable[int]
	const calls = 2000
	var wins [calls]int
	var mu sync.Mutex
	won := func(i int) {
		mu.Lock()
		defer mu.Unlock()
		wins[i]++
	}
	ids := make([]uint64, calls)
	for i := range calls {
		ids[i] = table.nextID()
		table.add(ids[i], "n", 1, i)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for _, id := range ids {
				if i, ok := table.take(id, "n"); ok {
					won(i)
				}
			}
		})
	}
	wg.Go(func() {
		for _, i := range table.takeExpired(2) {
			won(i)
		}
	})
	wg.Go(func() {
		for _, i := range table.takeNode("n") {
			won(i)
		}
	})
	wg.Wait()
	for i, n := range wins {
		if n != 1 {
			t.Fatalf("call %d was taken %d times", i, n)
		}
	}
}
