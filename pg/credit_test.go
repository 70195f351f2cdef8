package pg

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestCredit runs a sender and a receiver of counted broadcasts against each other, with acknowledgements that are
// late, early, and for more than one.
func TestCredit(t *testing.T) {
	t.Run("never_more_than_allowed_and_never_stuck", rapid.MakeCheck(func(t *rapid.T) {
		p := &purse{}
		var wire []int    // gone out, not delivered
		var unnoted []int // gone out, not noted by the sender yet
		in := intake{}
		acks := 0 // broadcasts that are acknowledged, on their way back
		deliver := func() {
			if len(wire) == 0 {
				return
			}
			in.frames++
			in.deliveries += wire[0]
			wire = wire[1:]
			if in.frames >= ackFrames || in.deliveries >= ackDeliveries {
				acks += in.frames
				in = intake{}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				cost := rapid.SampledFrom([]int{1, 32, 5000, 60_000, 200_000}).Draw(t, "cost")
				ok, _ := p.reserve(cost)
				if !ok {
					return
				}
				switch rapid.IntRange(0, 3).Draw(t, "how") {
				case 0:
					p.unsent(cost)
				case 1:
					wire = append(wire, cost)
					unnoted = append(unnoted, cost)
				default:
					wire = append(wire, cost)
					p.sent(cost)
				}
			},
			"note": func(t *rapid.T) {
				if len(unnoted) > 0 {
					p.sent(unnoted[0])
					unnoted = unnoted[1:]
				}
			},
			"deliver": func(t *rapid.T) { deliver() },
			"ack": func(t *rapid.T) {
				if acks > 0 {
					n := rapid.IntRange(1, acks).Draw(t, "n")
					acks -= n
					p.took(n)
				}
			},
			"": func(t *rapid.T) {
				if p.frames > creditFrames && p.sum > creditLimit+200_000 {
					t.Fatalf("%d broadcasts of %d deliveries are under way", p.frames, p.sum)
				}
			},
		})
		for len(wire) > 0 {
			deliver()
		}
		for _, cost := range unnoted {
			p.sent(cost)
		}
		p.took(acks)
		// What the receiver still holds back must leave room for another broadcast, of whatever size.
		if p.frames >= ackFrames || p.early != 0 || len(p.costs) != p.frames {
			t.Fatalf("in the end: %+v", p)
		}
		if ok, _ := p.reserve(1 << 30); !ok {
			t.Fatalf("stuck: %+v", p)
		}
	}))

	t.Run("waits_while_anything_moves", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := &purse{}
			for range creditFrames + 4 {
				if ok, _ := p.reserve(creditLimit / 8); ok {
					p.sent(creditLimit / 8)
				}
			}
			began := time.Now()
			go func() { // one at a time, each just in time
				for range 3 {
					time.Sleep(900 * time.Millisecond)
					p.took(0)
					p.mu.Lock()
					p.wake()
					p.mu.Unlock()
				}
			}()
			if p.await(context.Background(), creditLimit, time.Second) {
				t.Fatal("credit out of nothing")
			}
			if took := time.Since(began); took != 3700*time.Millisecond {
				t.Fatalf("gave up after %v", took)
			}
			go func() {
				time.Sleep(500 * time.Millisecond)
				p.took(creditFrames)
			}()
			if !p.await(context.Background(), creditLimit, time.Second) {
				t.Fatal("no credit though all was taken")
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
			defer cancel()
			_, _ = p.reserve(creditLimit)
			for range creditFrames {
				_, _ = p.reserve(1)
			}
			if p.await(ctx, creditLimit, time.Second) {
				t.Fatal("credit out of nothing")
			}
		})
	})
}
