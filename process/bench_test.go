package process

import (
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/kith-mesh/kith/node"
)

// nop is the smallest behaviour.
type nop struct{}

func (nop) Handle(*Process, Message) error { return nil }

// BenchmarkHandOff is a message to a process that waits, and its answer, beside the same over two channels.
func BenchmarkHandOff(b *testing.B) {
	b.Run("channel", func(b *testing.B) {
		there, back := make(chan any), make(chan any)
		go func() {
			for m := range there {
				back <- m
			}
		}()
		for b.Loop() {
			there <- 1
			<-back
		}
		close(there)
	})
	b.Run("func", func(b *testing.B) {
		rt := alone(b)
		self := rt.Attach()
		echo := rt.Spawn(func(p *Process) error {
			for {
				m, err := p.Receive(bg)
				if err != nil {
					return nil
				}
				_ = rt.Send(bg, self.PID(), m)
			}
		})
		for b.Loop() {
			_ = rt.Send(bg, echo, 1)
			_, _ = self.Receive(bg)
		}
	})
	b.Run("behaviour", func(b *testing.B) {
		rt := alone(b)
		self := rt.Attach()
		echo := rt.SpawnBehaviour(HandleFunc(func(_ *Process, m Message) error {
			return rt.Send(bg, self.PID(), m)
		}))
		for b.Loop() {
			_ = rt.Send(bg, echo, 1)
			_, _ = self.Receive(bg)
		}
	})
}

// BenchmarkSendLocal is one sender, and several, to processes that keep up.
func BenchmarkSendLocal(b *testing.B) {
	b.Run("one_to_one", func(b *testing.B) {
		rt := alone(b, HighWater(-1, nil))
		var done sync.WaitGroup
		done.Add(b.N)
		pid := rt.SpawnBehaviour(HandleFunc(func(*Process, Message) error { done.Done(); return nil }))
		b.ResetTimer()
		for range b.N {
			_ = rt.Send(bg, pid, 1)
		}
		done.Wait()
	})
	b.Run("each_to_its_own", func(b *testing.B) {
		rt := alone(b, HighWater(-1, nil))
		b.RunParallel(func(pb *testing.PB) {
			pid := rt.SpawnBehaviour(nop{})
			for pb.Next() {
				_ = rt.Send(bg, pid, 1)
			}
		})
	})
}

// BenchmarkSpawn starts processes and ends them.
func BenchmarkSpawn(b *testing.B) {
	b.Run("behaviour", func(b *testing.B) {
		rt := alone(b)
		for b.Loop() {
			rt.SpawnBehaviour(nop{})
		}
	})
	b.Run("func", func(b *testing.B) {
		rt := alone(b)
		for b.Loop() {
			rt.Spawn(func(*Process) error { return nil })
		}
	})
}

func heap() (bytes uint64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkIdle measures what a process that waits takes, a million behaviours among them.
func BenchmarkIdle(b *testing.B) {
	for _, row := range []struct {
		name  string
		count int
		spawn func(rt *Runtime) PID
	}{
		{"behaviour", 1_000_000, func(rt *Runtime) PID { return rt.SpawnBehaviour(nop{}) }},
		{"func", 100_000, func(rt *Runtime) PID {
			return rt.Spawn(func(p *Process) error {
				_, err := p.Receive(bg)
				return err
			})
		}},
	} {
		b.Run(row.name, func(b *testing.B) {
			for range b.N {
				rt := alone(b)
				before, start := heap(), time.Now()
				var last PID
				for range row.count {
					last = row.spawn(rt)
				}
				started := time.Since(start)
				for _, p := range rt.procs.all() {
					_ = p.put(1, putLocal) // all have had a message
				}
				_ = last
				if row.name == "func" {
					_ = rt.Close()
					rt = alone(b)
					before = heap()
					for range row.count {
						row.spawn(rt)
					}
					for !parked(rt) {
						runtime.Gosched()
					}
				}
				b.ReportMetric(float64(heap()-before)/float64(row.count), "B/process")
				b.ReportMetric(started.Seconds(), "s/start")
				_ = rt.Close()
			}
		})
	}
	b.Logf("a Process is %d bytes, a Monitor %d", unsafe.Sizeof(Process{}), unsafe.Sizeof(Monitor{}))
}

// parked reports whether all function processes wait.
func parked(rt *Runtime) bool {
	for _, p := range rt.procs.all() {
		p.mu.Lock()
		waiting := p.waiting
		p.mu.Unlock()
		if !waiting {
			return false
		}
	}
	return true
}

// BenchmarkMonitors makes a million monitors and takes them back, and reports what memory that leaves behind.
func BenchmarkMonitors(b *testing.B) {
	for _, where := range []string{"local", "remote"} {
		b.Run(where, func(b *testing.B) {
			for range b.N {
				const count = 1_000_000
				net := newMemNet(b)
				here := net.start("a@h")
				there := here
				if where == "remote" {
					there = net.start("b@h")
				}
				self := here.Attach()
				target := there.SpawnBehaviour(nop{})
				self.Demonitor(self.Monitor(target))
				net.settle()
				before := heap()
				monitors := make([]*Monitor, count)
				start := time.Now()
				for i := range monitors {
					monitors[i] = self.Monitor(target)
					net.settle()
				}
				full := heap()
				for _, m := range monitors {
					self.Demonitor(m)
					net.settle()
				}
				took := time.Since(start)
				monitors = nil
				b.ReportMetric(float64(full-before)/count, "B/monitor")
				b.ReportMetric(float64(int64(heap()-before)), "B/left")
				b.ReportMetric(took.Seconds()/count*1e9, "ns/monitor")
				runtime.KeepAlive(self)
			}
		})
	}
}

// BenchmarkSendRemote is one sender to one process on another node, over real sessions.
func BenchmarkSendRemote(b *testing.B) {
	first, second := startPair(b)
	var done sync.WaitGroup
	pid := second.SpawnBehaviour(HandleFunc(func(*Process, Message) error { done.Done(); return nil }))
	for _, size := range []int{10, 128, 1024} {
		b.Run(sizeName(size), func(b *testing.B) {
			msg := make([]byte, size)
			done.Add(b.N)
			b.SetBytes(int64(size))
			b.ResetTimer()
			for range b.N {
				_ = first.Send(bg, pid, msg)
			}
			done.Wait()
		})
	}
}

func sizeName(n int) string { return map[int]string{10: "10B", 128: "128B", 1024: "1KiB"}[n] }

func startPair(b *testing.B) (first, second *Runtime) {
	var rts []*Runtime
	var join []string
	for _, name := range []string{"a@127.0.0.1", "b@127.0.0.1"} {
		n, err := node.Start(bg, node.Config{Name: name, Mesh: "bench", Cookie: make([]byte, 32), Join: join})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = n.Close() })
		rt, err := New(n, HighWater(-1, nil))
		if err != nil {
			b.Fatal(err)
		}
		rts, join = append(rts, rt), append(join, n.Addr())
	}
	if err := rts[0].node.WaitPeers(bg, 1); err != nil {
		b.Fatal(err)
	}
	return rts[0], rts[1]
}
