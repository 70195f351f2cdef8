package codec_test

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/kith-mesh/kith/internal/codec"
)

func TestAnyRoundTrip(t *testing.T) {
	now := time.Now().UTC()
	for name, c := range map[string]struct{ in, out any }{
		"nil":     {nil, nil},
		"bool":    {true, true},
		"int":     {-5, int64(-5)},
		"uint":    {uint8(200), int64(200)},
		"least":   {int64(math.MinInt64), int64(math.MinInt64)},
		"most":    {int64(math.MaxInt64), int64(math.MaxInt64)},
		"float":   {1.5, 1.5},
		"string":  {"grüße", "grüße"},
		"bytes":   {[]byte{0, 255}, []byte{0, 255}},
		"list":    {[]int{1, 2}, []any{int64(1), int64(2)}},
		"map":     {map[string]int{"a": 1}, map[string]any{"a": int64(1)}},
		"time":    {now, now},
		"nothing": {[]any{}, []any{}},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := codec.Marshal(c.in)
			if err != nil {
				t.Fatal(err)
			}
			var got any
			if err := codec.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, c.out) {
				t.Errorf("%#v, %v; want %#v", got, err, c.out)
			}
		})
	}
}

func TestEncodingIsDeterministic(t *testing.T) {
	m := map[string]int{}
	for i := range 100 {
		m[string(rune('a'+i))] = i
	}
	first, err := codec.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if again, _ := codec.Marshal(m); !bytes.Equal(first, again) {
			t.Fatal("the same map has two encodings")
		}
	}
}

func TestRefused(t *testing.T) {
	deep := append(bytes.Repeat([]byte{0x81}, 100), 0x01)
	for name, data := range map[string][]byte{
		"empty":             {},
		"two_values":        {0x01, 0x02},
		"indefinite_length": {0x9f, 0x01, 0xff},
		"duplicate_key":     {0xa2, 0x61, 'a', 0x01, 0x61, 'a', 0x02},
		"too_deep":          deep,
		"too_many":          {0x9a, 0x00, 0x10, 0x00, 0x01},
		"over_int64":        {0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"cut_short":         {0x62, 'a'},
	} {
		t.Run(name, func(t *testing.T) {
			var got any
			if err := codec.Unmarshal(data, &got); err == nil {
				t.Errorf("it decodes to %#v", got)
			}
		})
	}
	if _, err := codec.Marshal(make(chan int)); err == nil {
		t.Error("a channel can be encoded")
	}
}

func TestResultSharesNoMemory(t *testing.T) {
	data, err := codec.Marshal([]byte("abc"))
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	if err := codec.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	clear(data)
	if string(got) != "abc" {
		t.Errorf("%q after the input was overwritten", got)
	}
}

func TestUnmarshalFirstReturnsTheRest(t *testing.T) {
	data, err := codec.Marshal("one")
	if err != nil {
		t.Fatal(err)
	}
	var got string
	rest, err := codec.UnmarshalFirst(append(data, "rest"...), &got)
	if err != nil || got != "one" || string(rest) != "rest" {
		t.Errorf("%q, %q, %v", got, rest, err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, v := range []any{nil, 1, "a", []any{1, "b", nil}, map[string]any{"a": []byte{1}}, time.Unix(1, 2)} {
		data, err := codec.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		if codec.Unmarshal(data, &v) != nil {
			return
		}
		again, err := codec.Marshal(v)
		if err != nil {
			t.Fatalf("%#v decodes and cannot be encoded: %v", v, err)
		}
		var w any
		if err := codec.Unmarshal(again, &w); err != nil {
			t.Fatalf("%#v: its encoding does not decode: %v", v, err)
		}
	})
}
