package process

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kith-mesh/kith/internal/codec"
)

var testPID = PID{Node: "alice@127.0.0.1", Incarnation: 0xf00c5a7be2d94d11, ID: 42}

func TestPID(t *testing.T) {
	t.Run("text", func(t *testing.T) {
		for pid, want := range map[PID]string{testPID: "alice@127.0.0.1#f00c5a7be2d94d11/42", {}: "none"} {
			if pid.String() != want {
				t.Errorf("prints %q", pid)
			}
			if got, err := ParsePID(want); got != pid || err != nil {
				t.Errorf("%q is read as %v, %v", want, got, err)
			}
		}
		for _, bad := range []string{"", "x", "a@h#1/1", "a@h#f00c5a7be2d94d11", "#f00c5a7be2d94d11/1", "a@h#f00c5a7be2d94d1x/1",
			"a@h#f00c5a7be2d94d11/", "a@h#f00c5a7be2d94d11/-1", "a@h#f00c5a7be2d94d11/9223372036854775808"} {
			if _, err := ParsePID(bad); !errors.Is(err, ErrBadPID) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
	t.Run("json", func(t *testing.T) {
		in := map[string]PID{"p": testPID}
		data, err := json.Marshal(in)
		if err != nil || !strings.Contains(string(data), `"alice@127.0.0.1#f00c5a7be2d94d11/42"`) {
			t.Fatal(string(data), err)
		}
		var out map[string]PID
		if err := json.Unmarshal(data, &out); err != nil || out["p"] != testPID {
			t.Fatal(out, err)
		}
		if err := json.Unmarshal([]byte(`{"p":"x"}`), &out); !errors.Is(err, ErrBadPID) {
			t.Fatal(err)
		}
	})
	t.Run("cbor", func(t *testing.T) {
		data, err := codec.Marshal(testPID)
		if err != nil {
			t.Fatal(err)
		}
		var out PID
		if err := codec.Unmarshal(data, &out); err != nil || out != testPID {
			t.Fatal(out, err)
		}
		for _, bad := range []any{1, "x", []any{"a", []byte("12345678"), 1}} {
			data, _ := codec.Marshal(bad)
			if err := codec.Unmarshal(data, &out); !errors.Is(err, ErrBadPID) {
				t.Errorf("%v: %v", bad, err)
			}
		}
	})
	t.Run("round_trip", rapid.MakeCheck(func(t *rapid.T) {
		pid := PID{rapid.StringMatching(`[a-z/#]{1,5}@[a-z0-9.]{1,9}`).Draw(t, "node"), rapid.Uint64().Draw(t, "incarnation"),
			rapid.Uint64Range(0, maxID).Draw(t, "id")}
		if got, err := ParsePID(pid.String()); got != pid || err != nil {
			t.Fatal(got, err)
		}
	}))
}

func TestMessageCodec(t *testing.T) {
	rt := alone(t, WithType[point]("point"), WithType[*point]("*point"))
	for _, v := range []any{
		nil, "x", "", 1, -1, int8(1), uint16(7), int64(1), uint64(1) << 63, []byte("x"), true, 1.5, float32(1.5), testPID,
		time.Second, time.Unix(1, 2).UTC(), []string{"a"}, map[string]int{"a": 1}, []PID{testPID}, point{1, 2}, &point{1, 2},
		[]any{1, testPID, point{1, 2}, "x", nil, []any{int8(3)}},
		map[string]any{"a": testPID, "b": []any{int64(1), 1}, "c": uint64(1) << 63},
	} {
		data, err := rt.Encode(v)
		if err != nil {
			t.Fatalf("%#v: %v", v, err)
		}
		if got, err := rt.Decode(data); err != nil || !reflect.DeepEqual(v, got) {
			t.Errorf("%#v becomes %#v, %v", v, got, err)
		}
	}
	t.Run("basic_as_codec", rapid.MakeCheck(func(t *rapid.T) {
		v := rapid.OneOf(rapid.Int().AsAny(), rapid.Int64().AsAny(), rapid.String().AsAny(),
			rapid.SliceOfN(rapid.Byte(), 0, 300).AsAny()).Draw(t, "value")
		data, _ := rt.Encode(v)
		body, _ := codec.Marshal(v)
		want := append([]byte{cborNull}, body...)
		if _, isInt := v.(int); isInt {
			want = append([]byte(intName), body...)
		}
		if !reflect.DeepEqual(data, want) {
			t.Fatalf("%#v: %x, want %x", v, data, want)
		}
		slow, err := rt.types.now.Load().decode(data, 0)
		if fast, ok := decodeBasic(data); !ok || err != nil || !reflect.DeepEqual(fast, v) || !reflect.DeepEqual(slow, v) {
			t.Fatalf("%#v becomes %#v, %#v, %v", v, fast, slow, err)
		}
	}))
	t.Run("unregistered", func(t *testing.T) {
		type other struct{}
		for _, v := range []any{other{}, []any{other{}}, map[string]any{"x": other{}}, make(chan int)} {
			if _, err := rt.Encode(v); !errors.Is(err, ErrUnregisteredType) {
				t.Errorf("%#v: %v", v, err)
			}
		}
	})
	t.Run("unknown_or_changed_type_is_raw", func(t *testing.T) {
		other := alone(t, WithType[string]("point"))
		data, _ := rt.Encode(point{1, 2})
		for name, at := range map[string]*Runtime{"changed": other, "unknown": alone(t)} {
			m, err := at.Decode(data)
			raw, ok := m.(Raw)
			if err != nil || !ok || raw.Type != "point" {
				t.Fatalf("%s: %#v %v", name, m, err)
			}
			again, err := at.Encode(raw)
			if err != nil || !reflect.DeepEqual(again, data) {
				t.Fatalf("%s: %x %v", name, again, err)
			}
		}
	})
	t.Run("registry", func(t *testing.T) {
		for _, row := range []struct {
			err  error
			want error
		}{
			{RegisterType[point](rt, "point"), nil},
			{RegisterType[point](rt, "point2"), ErrTypeTaken},
			{RegisterType[struct{ A int }](rt, "point"), ErrTypeTaken},
			{RegisterType[struct{ A int }](rt, ""), ErrBadName},
			{RegisterType[error](rt, "error"), ErrBadName},
		} {
			if !errors.Is(row.err, row.want) {
				t.Errorf("%v, want %v", row.err, row.want)
			}
		}
	})
	t.Run("bad_input", func(t *testing.T) {
		deep := []byte{cborNull, 0x01}
		for range 2 * maxNamedDepth {
			tag, _ := codec.Marshal(tagged(deep))
			deep = append([]byte{cborNull}, tag...)
		}
		for _, data := range [][]byte{nil, {cborNull}, {1, 2}, {0x61, 'x'}, {0x61, 'x', 0x9f}, {cborNull, 0x61}, {cborNull, 1, 1}, deep} {
			if v, err := rt.Decode(data); !errors.Is(err, ErrBadMessage) {
				t.Errorf("%x becomes %#v, %v", data, v, err)
			}
		}
	})
	t.Run("bad_message_counts", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		p := b.Attach()
		f := frame{kind: frameSend, to: p.id, body: []byte{1, 2}}
		net.join("a@h", "b@h")
		net.settle()
		_ = a.postFrame(b.id, &f)
		send(t, a, p.PID(), "next")
		net.settle()
		if m := receive(t, p); m != "next" || b.Stats().BadMessages != 1 {
			t.Fatal(m, b.Stats())
		}
	})
}

func TestReasons(t *testing.T) {
	rt := alone(t, WithType[point]("point"))
	m := rt.types.now.Load()
	for _, s := range sentinels {
		if got := m.decodeReason(m.encodeReason(s.err)); got != s.err {
			t.Errorf("%v becomes %v", s.err, got)
		}
	}
	if got := m.decodeReason(m.encodeReason(point{1, 2})); got != (point{1, 2}) {
		t.Errorf("%#v", got)
	}
	got := m.decodeReason(m.encodeReason(&brokenError{}))
	if got.Error() != "*process.brokenError" {
		t.Errorf("%v", got)
	}
	if got := m.decodeReason([]byte("x")); !strings.Contains(got.Error(), "cannot be decoded") {
		t.Errorf("%v", got)
	}
	future, _ := codec.Marshal(wireReason{Kind: "of_a_later_version"})
	if got := m.decodeReason(future); got.Error() != "of_a_later_version" {
		t.Errorf("%v", got)
	}
	long := m.encodeReason(&PanicError{Value: strings.Repeat("x", 1<<20), Stack: make([]byte, 1<<20)})
	if got := m.decodeReason(shortReason(long)); len(got.Error()) > 2*maxReasonText {
		t.Errorf("%d bytes", len(got.Error()))
	}
}

type brokenError struct{}

func (*brokenError) Error() string { panic("in Error") }

func FuzzDecode(f *testing.F) {
	g := registry{}
	g.init()
	_ = g.add("point", reflect.TypeFor[point]())
	types := g.now.Load()
	for _, v := range []any{"x", 1, point{1, 2}, []any{testPID, point{1, 2}}, map[string]any{"a": uint64(1) << 63}} {
		data, err := types.encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		types.decodeReason(data)
		if fast, ok := decodeBasic(data); ok {
			if slow, err := types.decode(data, 0); err != nil || !reflect.DeepEqual(fast, slow) {
				t.Fatalf("%x: %#v, %#v, %v", data, fast, slow, err)
			}
		}
		v, err := types.decode(data, 0)
		if err != nil {
			return
		}
		again, err := types.encode(v)
		if err != nil {
			return // a value that only a foreign encoder can make, such as an unknown tag
		}
		w, err := types.decode(again, 0)
		if err != nil {
			t.Fatalf("%#v: %v", v, err)
		}
		if third, err := types.encode(w); err != nil || !reflect.DeepEqual(again, third) {
			t.Fatalf("%#v: %x, then %x, %v", v, again, third, err)
		}
	})
}
