package benchmark

import (
	"context"
	"sync"
	"time"

	procs "github.com/kith-mesh/kith/process"
)

// measureSend is messages from one sender to one process: in another process of this machine, and on the same node.
func measureSend(t *turn) error {
	const worker = "b@127.0.0.1"
	if err := t.start(worker); err != nil {
		return err
	}
	if err := t.startRaw(1, worker); err != nil {
		return err
	}
	flow, err := t.flow(1, worker)
	if err != nil {
		return err
	}
	pid, err := ask[int, procs.PID](t, worker, "spawn", 0)
	if err != nil {
		return err
	}
	var kith, bare []float64
	payload := make([]byte, payloadSize)
	for round := range t.times(rounds) + 1 {
		a, err := flow.run(t.pace(time.Second), payload)
		if err != nil {
			return err
		}
		b, err := t.sendFor(t.pace(time.Second), worker, pid, payload)
		if err != nil {
			return err
		}
		if round > 0 { // the first one warms up
			bare, kith = append(bare, a), append(kith, b)
		}
		t.say("round %d of %d", round, t.times(rounds))
	}
	t.figures["send_remote_per_s"], t.figures[raw+"send_remote_per_s"] = median(kith), median(bare)
	t.figures["send_local_ns"] = t.sendLocal()
	t.figures["spawn_ns"] = t.spawns()
	return nil
}

// sendFor sends for as long as d, and returns how many messages a second the process has received.
func (t *turn) sendFor(d time.Duration, worker string, pid procs.PID, payload []byte) (float64, error) {
	if _, err := ask[int, bool](t, worker, "reset", 0); err != nil {
		return 0, err
	}
	var sent int64
	begin := time.Now()
	for time.Since(begin) < d {
		for range 16 {
			if err := t.here.rt.Send(t.ctx, pid, payload); err != nil {
				return 0, err
			}
			sent++
		}
	}
	if _, err := ask[int64, int64](t, worker, "count", sent); err != nil {
		return 0, err
	}
	return float64(sent) / time.Since(begin).Seconds(), nil
}

// sendLocal is nanoseconds for each message to a process of this node that keeps up.
func (t *turn) sendLocal() float64 {
	count := t.many(500_000)
	var list []float64
	for range t.times(rounds) {
		var done sync.WaitGroup
		done.Add(1)
		pid := t.here.rt.Spawn(func(self *procs.Process) error {
			defer done.Done()
			for range count {
				if _, err := self.Receive(self.Context()); err != nil {
					return err
				}
			}
			return nil
		})
		payload := any(make([]byte, payloadSize))
		begin := time.Now()
		for range count {
			_ = t.here.rt.Send(context.Background(), pid, payload)
		}
		done.Wait()
		list = append(list, float64(time.Since(begin))/float64(count))
	}
	return median(list)
}

// spawns is nanoseconds to start a process and have it end.
func (t *turn) spawns() float64 {
	count := t.many(100_000)
	var list []float64
	for range t.times(rounds) {
		var done sync.WaitGroup
		done.Add(count)
		begin := time.Now()
		for range count {
			t.here.rt.Spawn(func(*procs.Process) error { done.Done(); return nil })
		}
		done.Wait()
		list = append(list, float64(time.Since(begin))/float64(count))
	}
	return median(list)
}
