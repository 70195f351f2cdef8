package process

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/node"
)

func testRuntime(t testing.TB) *Runtime {
	rt, err := newRuntime(node.ID{Name: "a@h", Incarnation: 7}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt
}

func TestFirst(t *testing.T) {
	rt := testRuntime(t)
	ctx := context.Background()
	got := make(chan any, 10)
	pid := rt.Spawn(func(self *Process) error {
		for {
			m, err := self.Receive(ctx)
			if err != nil {
				return err
			}
			got <- m
			if m == "panic" {
				panic("x")
			}
		}
	})
	ended := make(chan error, 1)
	rt.Watch(pid, func(err error) { ended <- err })
	for i := range 3 {
		rt.Send(ctx, pid, i)
	}
	for i := range 3 {
		if m := <-got; m != i {
			t.Fatal(m)
		}
	}
	if err := rt.Register("x", pid); err != nil {
		t.Fatal(err)
	}
	if p, ok := rt.Whereis("x"); p != pid || !ok {
		t.Fatal(p)
	}
	time.Sleep(time.Millisecond)
	rt.Send(ctx, pid, "panic")
	<-got
	t.Logf("%v", <-ended)
	if _, ok := rt.Whereis("x"); ok || rt.Alive(pid) {
		t.Fatal("still there")
	}
}

func TestCodec(t *testing.T) {
	type point struct{ X, Y int }
	rt := testRuntime(t)
	if err := RegisterType[point](rt, "point"); err != nil {
		t.Fatal(err)
	}
	pid := PID{Node: "a@h", Incarnation: 1 << 63, ID: 4}
	for _, v := range []any{nil, "x", 1, int64(1), uint64(1) << 63, []byte("x"), pid, []any{1, pid, point{1, 2}, "x", nil}, point{1, 2},
		map[string]any{"a": pid, "b": []any{int64(1), 1}}, []PID{pid}, time.Second, true, 1.5, float32(1.5)} {
		b, err := rt.Encode(v)
		if err != nil {
			t.Fatal(v, err)
		}
		w, err := rt.Decode(b)
		if err != nil || !reflect.DeepEqual(v, w) {
			t.Errorf("%#v -> %#v %v", v, w, err)
		}
	}
}
