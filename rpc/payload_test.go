package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestPayloads: what goes in comes out, of the same type whether the call stays on the node or not.
func TestPayloads(t *testing.T) {
	a, b, _, _ := pair(t)
	for _, s := range []*Server{a, b} {
		register(t, s, "same", func(_ context.Context, v any) (any, error) { return v, nil })
	}
	ctx := context.Background()
	when := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	for _, row := range []struct {
		name     string
		in, want any
	}{
		{"nil", nil, nil},
		{"int", 42, int64(42)},
		{"negative", int8(-3), int64(-3)},
		{"float", 1.5, 1.5},
		{"string", "grüß dich", "grüß dich"},
		{"bool", true, true},
		{"bytes", []byte{0, 255}, []byte{0, 255}},
		{"no_bytes", []byte{}, []byte{}},
		{"list", []int{1, 2}, []any{int64(1), int64(2)}},
		{"map", map[string]bool{"x": true}, map[string]any{"x": true}},
		{"struct", point{1, 2}, map[string]any{"X": int64(1), "Y": int64(2)}},
		{"time", when, when},
	} {
		for _, target := range []string{nameA, nameB} {
			for _, fn := range []string{"same", "kith.echo"} {
				t.Run(row.name+"/"+target+"/"+fn, func(t *testing.T) {
					var got any
					if err := a.Call(ctx, target, fn, row.in, &got); err != nil || !reflect.DeepEqual(got, row.want) {
						t.Errorf("%#v, %v", got, err)
					}
				})
			}
		}
	}
}

func TestPayloadsDoNotShareMemory(t *testing.T) {
	a, _, _, _ := pair(t)
	in := []byte("abc")
	var out []byte
	if err := a.Call(context.Background(), nameB, "kith.echo", in, &out); err != nil {
		t.Fatal(err)
	}
	out[0] = 'x'
	if string(in) != "abc" {
		t.Error("it does")
	}
}

func TestResultThatDoesNotFit(t *testing.T) {
	a, _, _, _ := pair(t)
	for _, target := range []string{nameA, nameB} {
		var n int
		err := a.Call(context.Background(), target, "kith.echo", "text", &n)
		if !errors.Is(err, ErrBadResult) || ErrorKind(err) != KindBadResult {
			t.Errorf("%v", err)
		}
		if err := a.Call(context.Background(), target, "kith.echo", []byte("x"), &n); !errors.Is(err, ErrBadResult) {
			t.Errorf("%v", err)
		}
	}
}

func TestResultThatCannotBeEncoded(t *testing.T) {
	a, b, _, _ := pair(t)
	register(t, b, "chan", func(context.Context, any) (any, error) { return make(chan int), nil })
	register(t, b, "nan", func(context.Context, any) (any, error) { return math.NaN(), nil })
	ctx := context.Background()
	if err := a.Call(ctx, nameB, "chan", nil, nil); ErrorKind(err) != KindBadResult {
		t.Errorf("%v", err)
	}
	if _, err := a.CallJSON(ctx, nameB, "nan", nil); ErrorKind(err) != KindBadResult {
		t.Errorf("%v", err)
	}
}

func TestRawPasses(t *testing.T) {
	a, b, _, _ := pair(t)
	var seen Raw
	err := b.Register("raw", HandlerFunc(func(_ context.Context, r *Request) (any, error) {
		raw, err := r.Raw()
		seen = Raw{raw.Type, bytes.Clone(raw.Data)}
		return raw, err
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []Raw{{CBOR, []byte{0x18, 0x2a}}, {JSON, []byte(`{"a": 1.50}`)}, {Bytes, []byte("x")}, {None, nil}} {
		var out Raw
		if err := a.Call(context.Background(), nameB, "raw", in, &out); err != nil {
			t.Errorf("%s: %v", in.Type, err)
		}
		if seen.Type != in.Type || !bytes.Equal(seen.Data, in.Data) || !bytes.Equal(out.Data, in.Data) || out.Type != in.Type {
			t.Errorf("%v came as %v and %v", in, seen, out)
		}
	}
	if err := a.Call(context.Background(), nameB, "raw", Raw{Type: 9}, nil); !errors.Is(err, ErrBadArgument) {
		t.Errorf("%v", err)
	}
}

func TestCallJSON(t *testing.T) {
	a, b, _, _ := pair(t)
	for _, s := range []*Server{a, b} {
		register(t, s, "point", func(_ context.Context, p struct {
			X int `json:"x"`
			Y any `json:"y"`
		}) (any, error) {
			return map[string]any{"x": p.X, "y": p.Y}, nil
		})
		register(t, s, "bytes", func(_ context.Context, b []byte) ([]byte, error) { return append(b, '!'), nil })
		register(t, s, "html", func(context.Context, any) (string, error) { return "<a&b>", nil })
		register(t, s, "any", func(_ context.Context, v any) (any, error) { return v, nil })
	}
	for _, row := range []struct{ name, fn, in, want string }{
		{"sum", "kith.sum", "[1,2,3]", "6"},
		{"sum_of_nothing", "kith.sum", "[]", "0"},
		{"sum_of_null", "kith.sum", "null", "0"},
		{"sum_floats", "kith.sum", "[1.5,2]", "3.5"},
		{"sum_exponent", "kith.sum", "[1e2]", "100"},
		{"sum_large", "kith.sum", "[9007199254740993,9007199254740993]", "18014398509481986"},
		{"sum_huge", "kith.sum", "[9223372036854775807,1]", "9223372036854775808"},
		{"sum_huge_negative", "kith.sum", "[-99999999999999999999,-1]", "-100000000000000000000"},
		{"echo", "kith.echo", `{"b":[1,2.50,"x"],"a":null}`, `{"b":[1,2.50,"x"],"a":null}`},
		{"echo_null", "kith.echo", "null", "null"},
		{"echo_nothing", "kith.echo", "", "null"},
		{"echo_huge", "kith.echo", "123456789012345678901234567890", "123456789012345678901234567890"},
		{"sleep", "kith.sleep", "1", "1"},
		{"struct", "point", `{"x":1,"y":12345678901234567890}`, `{"x":1,"y":12345678901234567890}`},
		{"bytes", "bytes", `"YWI="`, `"YWIh"`},
		{"html", "html", "", `"<a&b>"`},
		{"any_numbers", "any", `[1,1.5,9223372036854775808,{"n":2}]`, `[1,1.5,9223372036854775808,{"n":2}]`},
	} {
		for _, target := range []string{nameA, nameB} {
			t.Run(row.name+"/"+target, func(t *testing.T) {
				got, err := a.CallJSON(context.Background(), target, row.fn, json.RawMessage(row.in))
				if err != nil || string(got) != row.want {
					t.Errorf("%s, %v", got, err)
				}
			})
		}
	}
	for _, row := range []struct{ name, fn, in, kind string }{
		{"not_json", "kith.echo", "{", KindBadArgument},
		{"too_deep", "kith.echo", strings.Repeat("[", 65) + strings.Repeat("]", 65), KindBadArgument},
		{"sum_of_text", "kith.sum", `["x"]`, KindBadArgument},
		{"sum_of_no_list", "kith.sum", `7`, KindBadArgument},
		{"sum_out_of_range", "kith.sum", `[1e999]`, KindBadArgument},
		{"sum_of_too_many_digits", "kith.sum", "[" + strings.Repeat("9", maxDigits+1) + "]", KindBadArgument},
		{"sleep_negative", "kith.sleep", "-1", KindBadArgument},
		{"sleep_text", "kith.sleep", `"x"`, KindBadArgument},
		{"wrong_type", "point", `[1]`, KindBadArgument},
		{"no_function", "no.such", "", KindNoFunction},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got, err := a.CallJSON(context.Background(), nameB, row.fn, json.RawMessage(row.in)); ErrorKind(err) != row.kind {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
}

func TestJSONArgs(t *testing.T) {
	for _, row := range []struct {
		name  string
		words []string
		want  string
	}{
		{"none", nil, "null"},
		{"one", []string{" [1, 2] "}, "[1, 2]"},
		{"several", []string{"1", `"x"`, "[]"}, `[1,"x",[]]`},
	} {
		if got, err := JSONArgs(row.words...); err != nil || string(got) != row.want {
			t.Errorf("%s: %s, %v", row.name, got, err)
		}
	}
	if _, err := JSONArgs("1", "nope"); !errors.Is(err, ErrBadArgument) || !strings.Contains(err.Error(), "nope") {
		t.Errorf("%v", err)
	}
}

func TestSumInGo(t *testing.T) {
	a, _, _, _ := pair(t)
	ctx := context.Background()
	huge := new(big.Int).Lsh(big.NewInt(1), 100)
	got, err := Call[[]any, big.Int](ctx, a, nameB, "kith.sum", []any{huge, 1})
	if want := new(big.Int).Add(huge, big.NewInt(1)); err != nil || got.Cmp(want) != 0 {
		t.Errorf("%s, %v", &got, err)
	}
	if f, err := Call[[]float32, float64](ctx, a, nameB, "kith.sum", []float32{0.5, 0.25}); err != nil || f != 0.75 {
		t.Errorf("%v, %v", f, err)
	}
}

func TestSleepHonoursCancel(t *testing.T) {
	a, b, _, _ := pair(t)
	if err := a.Call(context.Background(), nameB, "kith.sleep", 3600_000, nil, Timeout(20*time.Millisecond)); !errors.Is(err, ErrTimeout) {
		t.Errorf("%v", err)
	}
	eventually(t, "the sleeper has woken", func() bool { return b.Stats().Running == 0 })
}

func TestInfo(t *testing.T) {
	a, b, _, _ := pair(t)
	b.SetInfo("more", func() any { return map[string]int{"n": 7} })
	info, err := Call[any, Info](context.Background(), a, nameB, "kith.info", nil)
	if err != nil || info.Name != nameB || len(info.Incarnation) != 16 || info.Uptime <= 0 || info.Versions["go"] == "" {
		t.Errorf("%+v, %v", info, err)
	}
	if info.Counters["more"] == nil || info.Counters["rpc"] == nil || len(info.Functions) != 4 {
		t.Errorf("%+v", info)
	}
	b.SetInfo("more", nil)
	j, err := a.CallJSON(context.Background(), nameB, "kith.info", nil)
	if err != nil || strings.Contains(string(j), "more") || !strings.Contains(string(j), `"uptime_s"`) {
		t.Errorf("%s, %v", j, err)
	}
}

func TestRegistry(t *testing.T) {
	_, s := newFakeMesh().add(t, nameA, WithoutBuiltins())
	if err := s.Register("f", HandlerFunc(echo)); err != nil {
		t.Fatal(err)
	}
	if err := s.Register("f", HandlerFunc(echo)); !errors.Is(err, ErrFunctionExists) {
		t.Errorf("%v", err)
	}
	if err := s.Register("g", nil); !errors.Is(err, ErrBadArgument) {
		t.Errorf("%v", err)
	}
	if err := s.Register("g", HandlerFunc(echo), MaxConcurrent(0)); !errors.Is(err, ErrBadArgument) {
		t.Errorf("%v", err)
	}
	if got := s.Functions(); !reflect.DeepEqual(got, []string{"f"}) {
		t.Errorf("%v", got)
	}
	if !s.Unregister("f") || s.Unregister("f") {
		t.Error("Unregister")
	}
	if err := s.Call(context.Background(), "", "f", nil, nil); !errors.Is(err, ErrNoFunction) {
		t.Errorf("%v", err)
	}
	for _, opt := range []Option{WithLimit(0), WithDefaultTimeout(0), WithWindow(0, 0, 0)} {
		if _, err := newServer(s.link, []Option{opt}); !errors.Is(err, ErrBadArgument) {
			t.Errorf("%v", err)
		}
	}
}

// FuzzJSON reads what anybody might send as JSON.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x\"]",null]}`, "123456789012345678901", "1e400", `"\\"`, "[[[", "-0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		if decode(JSON, data, &v) != nil {
			return
		}
		if _, err := marshalJSON(v); err != nil {
			t.Fatalf("%q was read and cannot be written: %v", data, err)
		}
	})
}
