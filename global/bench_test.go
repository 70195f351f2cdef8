package global_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
)

// BenchmarkWhereis is a read of a table of 100,000 names.
func BenchmarkWhereis(b *testing.B) {
	c := newCluster(b, 2)
	names := fill(b, c, 100_000, 256)
	b.Run("local", func(b *testing.B) { whereis(b, c, 0, names) })
	b.Run("remote", func(b *testing.B) { whereis(b, c, 1, names) })
}

func whereis(b *testing.B, c *cluster, node int, names []string) {
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok := c.r[node].Whereis(names[i%len(names)]); !ok {
			b.Fatal("not found")
		}
	}
}

// fill registers names of processes of the first node.
func fill(b testing.TB, c *cluster, count, callers int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("name-%06d", i)
	}
	var wg sync.WaitGroup
	for w := range callers {
		wg.Go(func() {
			for i := w; i < count; i += callers {
				if err := c.r[0].Register(b.Context(), names[i], c.idleHandle(0)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return names
}

// BenchmarkRegister is a single caller: three nodes, until the name is visible on all.
func BenchmarkRegister(b *testing.B) {
	c := newCluster(b, 3, meshtest.Tick(time.Second))
	ctx := b.Context()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		pid := c.idleHandle(0)
		if err := c.r[0].Register(ctx, fmt.Sprint("n", i), pid); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRegisterMany is many callers on three nodes, until every name is visible on all.
func BenchmarkRegisterMany(b *testing.B) {
	for _, callers := range []int{64, 512, 2048} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			c := newCluster(b, 3, meshtest.Tick(time.Second))
			ctx := b.Context()
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range callers {
				wg.Go(func() {
					for i := w; i < b.N; i += callers {
						node := w % 3
						if err := c.r[node].Register(ctx, fmt.Sprint("n", i), c.idleHandle(node)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "names/s")
			for i := range c.r {
				if n := len(c.r[i].Names("")); n != b.N {
					b.Errorf("node %d sees %d names of %d", i, n, b.N)
				}
			}
		})
	}
}
