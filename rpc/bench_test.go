package rpc

import (
	"context"
	"slices"
	"testing"
	"time"
)

// BenchmarkLocal is a call on the same node: what it takes beyond the handler.
func BenchmarkLocal(b *testing.B) {
	m := newFakeMesh()
	_, s := m.add(b, nameA)
	if err := Register(s, "bytes", func(_ context.Context, p []byte) ([]byte, error) { return p, nil }); err != nil {
		b.Fatal(err)
	}
	type item struct{ A, B string }
	if err := Register(s, "struct", func(_ context.Context, p item) (item, error) { return p, nil }); err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	payload := make([]byte, 128)
	b.Run("bytes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Call[[]byte, []byte](ctx, s, "", "bytes", payload); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bytes_p50", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			begin := time.Now()
			if _, err := Call[[]byte, []byte](ctx, s, "", "bytes", payload); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	})
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Call[item, item](ctx, s, "", "struct", item{"x", "y"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bytes_cancellable", func(b *testing.B) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Call[[]byte, []byte](ctx, s, "", "bytes", payload); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkFake is a call over a mesh without a broker: what this package costs by itself.
func BenchmarkFake(b *testing.B) {
	s, _, _, nb := pair(b)
	_ = nb
	ctx := context.Background()
	payload := make([]byte, 128)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Call[[]byte, []byte](ctx, s, nameB, "kith.echo", payload); err != nil {
			b.Fatal(err)
		}
	}
}
