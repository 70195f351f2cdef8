package rpc

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestOnceTable checks at-most-once: between two executions of a key lies at least the window, whoever waits is
// answered once, and nothing is forgotten early to make room.
func TestOnceTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const window = 10 * time.Second
		table := onceTable[int]{window: window, maxKeys: 3, maxBytes: 100}
		type state struct {
			running bool
			ended   time.Time
			answer  *outcome
			waiting []int
		}
		model := map[onceKey]*state{}
		now, next := time.Unix(1000, 0), 0
		keys := rapid.SampledFrom([]onceKey{{"f", "1"}, {"f", "2"}, {"g", "1"}, {"g", "2"}, {"h", "1"}})
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 8).Draw(t, "s")) * time.Second)
				for k, s := range model {
					if !s.running && now.Sub(s.ended) >= window {
						delete(model, k)
					}
				}
			},
			"begin": func(t *rapid.T) {
				k := keys.Draw(t, "key")
				next++
				verdict, answer := table.begin(k, next, now)
				s, known := model[k]
				switch {
				case known && s.running:
					if verdict != onceWait {
						t.Fatalf("verdict %d while it runs", verdict)
					}
					s.waiting = append(s.waiting, next)
				case known:
					if verdict != onceReplay || answer != s.answer {
						t.Fatalf("verdict %d within the window", verdict)
					}
				case verdict == onceRun:
					model[k] = &state{running: true}
				case verdict != onceFull || len(model) < 3 && table.bytes < 100:
					t.Fatalf("verdict %d for a new key, %d known, %d bytes", verdict, len(model), table.bytes)
				}
			},
			"finish": func(t *rapid.T) {
				k := keys.Draw(t, "key")
				s := model[k]
				if s == nil || !s.running {
					return
				}
				a := &outcome{payload: payload{data: make([]byte, rapid.IntRange(0, 60).Draw(t, "bytes"))}}
				if got := table.finish(k, a, now); !slices.Equal(got, s.waiting) {
					t.Fatalf("finish returned %v, want %v", got, s.waiting)
				}
				*s = state{ended: now, answer: a}
			},
			"": func(t *rapid.T) {
				if len(model) == 0 {
					table.expire(now)
					if table.bytes != 0 || len(table.ended) != 0 {
						t.Fatalf("an empty table holds %d bytes", table.bytes)
					}
				}
			},
		})
	})
}

func TestOnceTableBoundsWaiters(t *testing.T) {
	table := onceTable[int]{window: time.Second, maxKeys: 1, maxBytes: 1}
	k := onceKey{"f", "1"}
	for i := range maxOnceWaiters + 1 {
		table.begin(k, i, time.Time{})
	}
	if v, _ := table.begin(k, 0, time.Time{}); v != onceFull {
		t.Errorf("verdict %d with %d waiting", v, maxOnceWaiters)
	}
}
