package quorum

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"github.com/kith-mesh/kith/internal/codec"
)

// TestRecordGolden pins what the stores keep: docs/wire/quorum.md.
func TestRecordGolden(t *testing.T) {
	r := &record{
		Node: "a@h", Incarnation: 7, Token: 9, Value: []byte("v"), Mark: "m", Seconds: 10, Group: "g",
		Members: []member{{Node: "a@h", Handle: "m"}},
	}
	const want = "a8016361406802070309044176" + "05616d060a07616708" + "81a2016361406802616d"
	data, err := codec.Marshal(r)
	fatal(t, err)
	if got := hex.EncodeToString(data); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	back, err := decode("k", data)
	if err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("got %+v, %v", back, err)
	}
}

// TestRecordBelieved: what the stores hold is believed only if a store of this package could have written it.
func TestRecordBelieved(t *testing.T) {
	good := record{Node: "a@h", Incarnation: 1, Mark: "m", Seconds: 10, Members: []member{{"a@h", "m"}}}
	rows := []struct {
		name string
		edit func(*record)
		ok   bool
	}{
		{"good", func(*record) {}, true},
		{"no_time", func(r *record) { r.Seconds = 0 }, false},
		{"less_than_no_time", func(r *record) { r.Seconds = -1 }, false},
		{"more_than_there_is", func(r *record) { r.Seconds = 1 << 62 }, false},
		{"no_node", func(r *record) { r.Node = "" }, false},
		{"no_member", func(r *record) { r.Members = nil }, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := good
			row.edit(&r)
			data, err := codec.Marshal(&r)
			fatal(t, err)
			if _, err := decode("k", data); err == nil != row.ok || err != nil && !errors.Is(err, ErrBadRecord) {
				t.Error(err)
			}
		})
	}
	for _, subj := range []string{subject("a"), subjectPrefix + "k.YR", subjectPrefix + "s.YQ", subjectPrefix + "k.*"} {
		if key, ok := keyOf(subj); ok != (subj == subject("a")) || ok && key != "a" {
			t.Errorf("%s is taken as %q, %v", subj, key, ok)
		}
	}
}

// FuzzRecord: whatever stands in the stores, reading it does not panic, and what is read can be written again.
func FuzzRecord(f *testing.F) {
	data, err := codec.Marshal(&record{Node: "a@h", Value: []byte("v"), Mark: "m", Seconds: 10, Members: []member{{"a@h", "m"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{})
	f.Add([]byte{0xa1, 0x08, 0x81, 0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode("k", data)
		if err != nil {
			return
		}
		_ = r.holder(3)
		again, err := codec.Marshal(r)
		fatal(t, err)
		back, err := decode("k", again)
		fatal(t, err)
		if back.Node != r.Node || !bytes.Equal(back.Value, r.Value) || len(back.Members) != len(r.Members) {
			t.Errorf("%+v became %+v", r, back)
		}
	})
}
