package pace

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{Base: 5 * time.Second, Limit: time.Minute}
		want := b.Base
		for range rapid.IntRange(1, 2000).Draw(t, "failures") {
			if d := b.Next(); d < want*3/4 || d > want*5/4 {
				t.Fatalf("pause %v, want about %v", d, want)
			}
			want = min(want*2, b.Limit)
		}
		b.Reset()
		if d := b.Next(); d > b.Base*5/4 {
			t.Fatalf("pause %v after a success", d)
		}
	})
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if !Sleep(context.Background(), time.Second) || time.Since(start) != time.Second {
			t.Errorf("slept %v", time.Since(start))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if Sleep(ctx, time.Hour) || time.Since(start) != 2*time.Second {
			t.Errorf("slept %v", time.Since(start))
		}
	})
}
