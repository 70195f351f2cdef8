package pg

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files")

// goldenFrames are one frame of each kind. Their bytes are the format: a change of a golden file is a new version.
func goldenFrames() map[string][]byte {
	g, p := key{name: "room"}, key{name: "sport.*", pattern: true}
	sync := func(whole bool, parts ...part) []byte {
		var out []byte
		w := newSyncWriter("pg", whole, func(frame []byte) { out = append([]byte(nil), frame...) })
		for _, x := range parts {
			w.add(x)
		}
		w.end(whole)
		return out
	}
	head := func(k kind) []byte { return appendHeader(nil, k, "pg") }
	c := &Call{scope: "pg", id: 7}
	return map[string][]byte{
		"hello": head(kindHello),
		"sync": sync(true, part{key: g, ids: []uint64{1, 2, 2, 300}, lane: 5, meta: map[uint64]Meta{2: {"nick": "bob", "away": ""}}},
			part{key: p, ids: []uint64{9}}),
		"sync_empty":      sync(true),
		"set":             sync(false, part{key: g, ids: []uint64{1}}),
		"update_join":     appendJoin(head(kindUpdate), g, []uint64{1, 1, 1 << 40}, nil),
		"update_joinmeta": appendJoin(head(kindUpdate), g, []uint64{1}, Meta{"b": "2", "a": "1"}),
		"update_leave":    appendLeave(appendLeave(head(kindUpdate), g, []uint64{1}), p, []uint64{9}),
		"update_meta":     appendSetMeta(head(kindUpdate), g, 1, Meta{"a": "1"}),
		"update_lane":     appendLane(head(kindUpdate), g, 3),
		"bye":             head(kindBye),
		"message":         append(appendKey(head(kindMessage), g), "payload"...),
		"ask":             appendKey(head(kindAsk), p),
		"release":         appendRelease(nil, "pg", g, 3),
		"missed":          appendMissed(head(kindMissed), "room", 1000),
		"probe":           head(kindProbe),
		"call":            append(appendKey(binary.AppendUvarint(head(kindCall), 7), g), "payload"...),
		"accept":          appendIDs(append(c.header(kindAccept), 0), []uint64{1, 2}),
		"reply":           append(c.reply(1, answerValue), "payload"...),
		"reply_gone":      c.reply(1, answerGone),
		"cancel":          c.header(kindCancel),
		"many":            append(appendKey(head(kindMany), g), "payload"...),
		"took":            appendTook(nil, "pg", 4),
	}
}

func TestGoldenFrames(t *testing.T) {
	for name, frame := range goldenFrames() {
		file := filepath.Join("testdata", "frames", name+".hex")
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(hex.EncodeToString(frame)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(frame, want) {
			t.Errorf("%s is %x, was %x", name, frame, want)
		}
		if err := readFrame(frame); err != nil {
			t.Errorf("%s is not read: %v", name, err)
		}
	}
}

// readFrame reads a frame to its end, as the handlers do.
func readFrame(b []byte) error {
	r := &reader{b: b}
	k, _ := r.header()
	if r.err != nil {
		return r.err
	}
	switch k {
	case kindHello, kindBye, kindProbe:
		return nil
	case kindSync:
		r.byte()
		for r.more() {
			r.part()
		}
	case kindUpdate:
		for r.more() {
			readOp(r)
		}
	case kindMessage, kindMany:
		r.name()
	case kindAsk:
		r.key()
	case kindRelease:
		r.key()
		r.uint()
	case kindMissed:
		for r.more() {
			r.key()
			r.uint()
		}
	case kindCall:
		r.uint()
		r.name()
	case kindAccept:
		r.uint()
		r.byte()
		r.ids()
	case kindReply:
		r.uint()
		r.uint()
		r.byte()
	case kindCancel, kindTook:
		r.uint()
	default:
		r.fail("unknown kind")
	}
	return r.err
}

func readOp(r *reader) {
	o := op(r.byte())
	r.key()
	switch o {
	case opJoin, opLeave:
		r.ids()
	case opJoinMeta:
		r.ids()
		r.meta()
	case opMeta:
		r.uint()
		r.meta()
	case opLane:
		r.uint()
	default:
		r.fail("unknown operation")
	}
}

// FuzzFrame feeds a scope with frames that nobody made: it must not panic, must keep its table whole, and must not
// allocate more than the frames account for.
func FuzzFrame(f *testing.F) {
	for _, frame := range goldenFrames() {
		f.Add(frame)
	}
	f.Add([]byte{1, 2, 2, 'p', 'g', 3, 8, 'r', 'o', 'o', 'm', 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, frame []byte) {
		w := newWorld(t.Fatalf, 2)
		defer w.close()
		a, b := w.nodes[0], w.nodes[1]
		s, err := a.groups.Scope("pg")
		if err != nil {
			t.Fatal(err)
		}
		w.connect(a, b)
		w.settle()
		if err := s.Join("room", a.spawn()); err != nil {
			t.Fatal(err)
		}
		peer := a.up[b.id]
		for _, k := range []string{"hello", "sync", "update_join"} {
			a.groups.Frame(peer, goldenFrames()[k])
		}
		a.groups.Frame(peer, frame)
		a.groups.Frame(peer, frame)
		s.mu.RLock()
		defer s.mu.RUnlock()
		var list []*origin
		for _, p := range s.peers {
			list = append(list, p.origin)
		}
		if err := s.table.verify(list...); err != nil {
			t.Fatal(err)
		}
		if len(s.table.groups["room"].share(s.table.self).set.appendIDs(nil)) != 1 {
			t.Fatal("a peer changed this node's own members")
		}
	})
}

// TestPGVersions is how nodes of two versions begin to talk.
func TestPGVersions(t *testing.T) {
	w := newWorld(t.Fatalf, 2)
	defer w.close()
	a, b := w.nodes[0], w.nodes[1]
	s, err := a.groups.Scope("pg")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Join("room", a.spawn()); err != nil {
		t.Fatal(err)
	}
	w.connect(a, b)
	w.settle()
	peer := a.up[b.id]

	t.Run("PG-32_hello_of_a_later_version", func(t *testing.T) {
		hello := append(appendHeader(nil, kindHello, "pg"), "and whatever comes with version 9"...)
		hello[0] = 9
		a.groups.Frame(peer, hello)
		q := b.in[a]
		if len(q) != 1 || q[0].data[0] != frameVersion || kind(q[0].data[1]) != kindSync {
			t.Fatalf("answered with %+v", q)
		}
		w.settle()
	})
	t.Run("other_frames_of_another_version_are_counted", func(t *testing.T) {
		before := a.groups.Stats().BadFrames
		for _, v := range []byte{0, 2, 255} {
			f := goldenFrames()["update_join"]
			f[0] = v
			a.groups.Frame(peer, f)
			if err := readFrame(f); !errors.Is(err, ErrVersion) {
				t.Fatalf("version %d: %v", v, err)
			}
		}
		if n := a.groups.Stats().BadFrames - before; n != 3 {
			t.Fatalf("%d counted", n)
		}
	})
	t.Run("PG-30_changes_before_a_sync_are_ignored", func(t *testing.T) {
		before := a.groups.Stats().Ignored
		a.groups.Frame(peer, goldenFrames()["update_join"])
		a.groups.Frame(peer, goldenFrames()["set"])
		stranger := peer
		stranger.Conn++
		a.groups.Frame(stranger, goldenFrames()["sync"])
		if n := s.Count("room"); n.Members != 1 || a.groups.Stats().Ignored-before != 3 {
			t.Fatalf("size %+v, %d ignored", n, a.groups.Stats().Ignored-before)
		}
	})
	t.Run("PG-33_nodeup_of_oneself", func(t *testing.T) {
		self := peer
		self.ID = a.id
		a.groups.PeerUp(self)
		a.groups.Frame(self, goldenFrames()["sync"])
		if n := s.Count("room"); n.Nodes != 1 {
			t.Fatalf("size %+v", n)
		}
	})
}

// TestLongFrames feeds a scope with frames that are longer than any node makes them: none is read, unless it carries what a
// program sends.
func TestLongFrames(t *testing.T) {
	w := newWorld(t.Fatalf, 2)
	defer w.close()
	a, b := w.nodes[0], w.nodes[1]
	s, err := a.groups.Scope("pg")
	if err != nil {
		t.Fatal(err)
	}
	member := a.spawn()
	if err := s.Join("room", member); err != nil {
		t.Fatal(err)
	}
	w.connect(a, b)
	w.settle()
	peer, g := a.up[b.id], key{name: "room"}
	a.groups.Frame(peer, goldenFrames()["sync_empty"])
	before := a.groups.Stats().BadFrames

	ids := make([]uint64, wholeFrame)
	c := &Call{scope: "pg", id: 7}
	for i, frame := range [][]byte{
		appendPart(append(appendHeader(nil, kindSync, "pg"), 0), part{key: g, ids: ids}, false),
		appendJoin(appendHeader(nil, kindUpdate, "pg"), g, ids, nil),
		appendIDs(append(c.header(kindAccept), 0), ids),
	} {
		a.groups.Frame(peer, frame)
		if err := readFrame(frame); !errors.Is(err, ErrBadFrame) {
			t.Fatalf("frame %d of %d bytes: %v", i, len(frame), err)
		}
	}
	if n := a.groups.Stats().BadFrames - before; n != 3 || s.Count("room").Members != 1 {
		t.Fatalf("%d bad frames, %+v", n, s.Count("room"))
	}
	fits := appendJoin(appendHeader(nil, kindUpdate, "pg"), g, ids[:wholeFrame-32], nil)
	a.groups.Frame(peer, fits)
	a.groups.Frame(peer, append(appendKey(appendHeader(nil, kindMessage, "pg"), g), "s"+strings.Repeat("x", wholeFrame)...))
	if n := s.Count("room").Members; n != 1+wholeFrame-32 || len(a.inbox(member)) != 1 {
		t.Fatalf("%d members, %d messages", n, len(a.inbox(member)))
	}
}

// TestSyncWriter cuts shares of any size into frames and puts them together again.
func TestSyncWriter(t *testing.T) {
	t.Run("pieces_fit_together", rapid.MakeCheck(func(t *rapid.T) {
		meta := Meta{"k": strings.Repeat("v", rapid.IntRange(0, MaxMeta-1).Draw(t, "meta"))}
		want := map[key]part{}
		var order []part
		for i := range rapid.IntRange(0, 5).Draw(t, "parts") {
			n := rapid.SampledFrom([]int{1, 2, chunkIDs - 1, chunkIDs, chunkIDs + 1, 3*chunkIDs + 7}).Draw(t, "size")
			p := part{key: key{name: fmt.Sprint("g", i)}, lane: uint64(i), meta: map[uint64]Meta{}}
			for j := range n {
				id := uint64(j) * 1e15
				p.ids = append(p.ids, id)
				if j < 50 && len(meta["k"]) > 0 {
					p.meta[id] = meta
				}
			}
			want[p.key] = p
			order = append(order, p)
		}
		got := map[key]part{}
		first, last := 0, 0
		var pending *part
		w := newSyncWriter("pg", true, func(frame []byte) {
			if len(frame) > 100<<10 {
				t.Fatalf("a frame of %d bytes", len(frame))
			}
			r := &reader{b: frame}
			r.header()
			flags := r.byte()
			first += int(flags & syncFirst)
			last += int(flags&syncLast) >> 1
			for r.more() {
				p, continues := r.part()
				if pending != nil {
					p = pending.join(p)
				}
				if pending = nil; continues {
					pending = &p
					continue
				}
				got[p.key] = p
			}
			if r.err != nil {
				t.Fatal(r.err)
			}
		})
		for _, p := range order {
			w.add(p)
		}
		w.end(true)
		if first != 1 || last != 1 || len(got) != len(want) {
			t.Fatalf("first %d, last %d, %d of %d parts", first, last, len(got), len(want))
		}
		for k, p := range want {
			q := got[k]
			if !slices.Equal(p.ids, q.ids) || p.lane != q.lane || !maps.EqualFunc(p.meta, q.meta, Meta.equal) {
				t.Fatalf("%v came out with %d of %d processes", k, len(q.ids), len(p.ids))
			}
		}
	}))
}
