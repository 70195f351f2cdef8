package discovery

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var gossipNow = time.Unix(1_800_000_000, 0)

func testKey(t testing.TB, secret string) []byte {
	t.Helper()
	key, err := gossipKey([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const testCookie = "0123456789abcdef"

func testCookies() [][]byte { return [][]byte{[]byte(testCookie)} }

// peerSelf is a node of the test mesh.
func peerSelf(name string) Self {
	return Self{Name: name, Incarnation: 1, Addr: "10.0.0.5:4000", Mesh: "m", Cookies: testCookies}
}

func TestAnnouncement_round_trip(t *testing.T) {
	key := testKey(t, "secret")
	rapid.Check(t, func(t *rapid.T) {
		a := announcement{
			at:          time.Unix(0, rapid.Int64().Draw(t, "at")),
			incarnation: rapid.Uint64().Draw(t, "incarnation"),
			hidden:      rapid.Bool().Draw(t, "hidden"),
			mesh:        rapid.StringN(0, -1, 255).Draw(t, "mesh"),
			name:        rapid.StringN(0, -1, 255).Draw(t, "name"),
			addr:        rapid.StringN(0, -1, 255).Draw(t, "addr"),
		}
		copy(a.nonce[:], rapid.SliceOfN(rapid.Byte(), nonceLen, nonceLen).Draw(t, "nonce"))
		data, err := a.encode(key)
		if err != nil {
			t.Fatal(err)
		}
		got, signed, mac, err := decodeAnnouncement(data)
		if err != nil || got != a {
			t.Fatalf("decoded %+v, %v; want %+v", got, err, a)
		}
		if err := checkSignature([][]byte{key}, signed, mac); err != nil {
			t.Fatal(err)
		}
		// One changed bit anywhere is noticed.
		data[rapid.IntRange(0, len(data)-1).Draw(t, "at byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, signed, mac, err := decodeAnnouncement(data); err == nil && checkSignature([][]byte{key}, signed, mac) == nil {
			t.Fatal("a changed announcement was accepted")
		}
	})
}

func TestAnnouncement_too_long(t *testing.T) {
	if _, err := (announcement{name: strings.Repeat("x", 256)}).encode(nil); err == nil {
		t.Fatal("no error")
	}
}

func TestAnnouncement_says_nothing_of_the_cookie(t *testing.T) {
	self := peerSelf("a@h")
	data, err := announcementOf(self, gossipNow).encode(testKey(t, testCookie))
	if err != nil || bytes.Contains(data, []byte(testCookie)) {
		t.Fatalf("%q, %v", data, err)
	}
}

func FuzzDecodeAnnouncement(f *testing.F) {
	key := testKey(f, "secret")
	data, err := announcementOf(peerSelf("a@h"), gossipNow).encode(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)-1])
	f.Add([]byte(gossipMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, signed, mac, err := decodeAnnouncement(data)
		if err != nil {
			return
		}
		if len(signed)+len(mac) != len(data) {
			t.Fatal("bytes are missing")
		}
		again, err := a.encode(key)
		// The flags have seven bits without a meaning, which decoding ignores.
		again[5] = data[5]
		if err != nil || !bytes.Equal(again[:len(signed)], signed) {
			t.Fatalf("%x encodes to %x, %v", signed, again, err)
		}
	})
}

// TestReplayGuard_model: whatever comes in whatever order, nothing is accepted twice or outside the window, memory
// stays bounded, and without an overflow everything else is accepted.
func TestReplayGuard_model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const window = 10 * time.Second
		limit := rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "limit")
		g := newReplayGuard(window, limit)
		now := gossipNow
		accepted := make(map[[nonceLen]byte]time.Time)
		times := make(map[[nonceLen]byte]time.Time)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "later")) * time.Millisecond)
			nonce := [nonceLen]byte{rapid.Byte().Draw(t, "nonce") % 40}
			if _, ok := times[nonce]; !ok { // one announcement has one time
				times[nonce] = now.Add(time.Duration(rapid.IntRange(-15000, 15000).Draw(t, "off")) * time.Millisecond)
			}
			at := times[nonce]
			err := g.accept(at, nonce, now)
			inside := !at.Before(now.Add(-window)) && !at.After(now.Add(window))
			_, before := accepted[nonce]
			switch {
			case err == nil && (before || !inside):
				t.Fatalf("accepted: before %v, inside %v", before, inside)
			case err != nil && !before && inside && limit == 1000 && at.After(g.floor):
				t.Fatalf("refused: %v", err)
			case !inside && !errors.Is(err, errGossipClock):
				t.Fatalf("outside of the window: %v", err)
			}
			if err == nil {
				accepted[nonce] = at
			}
			if len(g.seen) > limit || len(g.seen) != len(g.byTime) {
				t.Fatalf("remembers %d and %d", len(g.seen), len(g.byTime))
			}
		}
	})
}

func TestGossipTable(t *testing.T) {
	self := peerSelf("me@h")
	key := testKey(t, testCookie)
	from := netip.MustParseAddr("::ffff:10.0.0.9")
	type change func(*announcement)
	tests := map[string]struct {
		change  change
		key     []byte
		changed bool
		addr    string
		err     error
	}{
		"news":            {func(*announcement) {}, key, true, "10.0.0.5:4000", nil},
		"listens_on_all":  {func(a *announcement) { a.addr = "0.0.0.0:7" }, key, true, "10.0.0.9:7", nil},
		"listens_on_all6": {func(a *announcement) { a.addr = "[::]:7" }, key, true, "10.0.0.9:7", nil},
		"no_host":         {func(a *announcement) { a.addr = ":7" }, key, true, "10.0.0.9:7", nil},
		"host_name":       {func(a *announcement) { a.addr = "b.example:7" }, key, true, "b.example:7", nil},
		"port_zero":       {func(a *announcement) { a.addr = "b:0" }, key, false, "", errGossipAddr},
		"no_address":      {func(a *announcement) { a.addr = "" }, key, false, "", errGossipAddr},
		"other_mesh":      {func(a *announcement) { a.mesh = "x" }, testKey(t, "x"), false, "", errGossipForeign},
		"other_cookie":    {func(*announcement) {}, testKey(t, "x"), false, "", errGossipSignature},
		"own":             {func(a *announcement) { a.name = "me@h" }, key, false, "", errGossipOwn},
		"own_name":        {func(a *announcement) { a.name, a.incarnation = "me@h", 2 }, key, false, "", errGossipName},
		"too_old":         {func(a *announcement) { a.at = gossipNow.Add(-31 * time.Second) }, key, false, "", errGossipClock},
		"too_early":       {func(a *announcement) { a.at = gossipNow.Add(31 * time.Second) }, key, false, "", errGossipClock},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			table := newGossipTable(self, key)
			a := announcementOf(peerSelf("a@h"), gossipNow)
			tt.change(&a)
			data, err := a.encode(tt.key)
			if err != nil {
				t.Fatal(err)
			}
			changed, unknown, err := table.receive(data, from, gossipNow)
			if changed != tt.changed || unknown != tt.changed || !errors.Is(err, tt.err) {
				t.Fatalf("changed %v, unknown %v, err %v", changed, unknown, err)
			}
			if list := table.list(); tt.changed && (len(list) != 1 || list[0].Addr != tt.addr) {
				t.Errorf("list %+v", list)
			}
			if _, _, err := table.receive(data, from, gossipNow); tt.err == nil && !errors.Is(err, errGossipReplay) {
				t.Errorf("the second time: %v", err)
			}
		})
	}
}

func TestGossipTable_life(t *testing.T) {
	self := peerSelf("me@h")
	key := testKey(t, testCookie)
	table := newGossipTable(self, key)
	hear := func(a announcement, now time.Time) (bool, bool) {
		t.Helper()
		data, err := a.encode(key)
		if err != nil {
			t.Fatal(err)
		}
		changed, unknown, err := table.receive(data, netip.Addr{}, now)
		if err != nil {
			t.Fatal(err)
		}
		return changed, unknown
	}
	a := peerSelf("a@h")
	hear(announcementOf(a, gossipNow), gossipNow)
	if changed, unknown := hear(announcementOf(a, gossipNow.Add(time.Second)), gossipNow); changed || unknown {
		t.Error("a sign of life is news")
	}
	next := a
	next.Incarnation, next.Addr = 2, "10.0.0.6:4000"
	if changed, unknown := hear(announcementOf(next, gossipNow.Add(3*time.Second)), gossipNow); !changed || !unknown {
		t.Error("a new life is no news")
	}
	if changed, _ := hear(announcementOf(a, gossipNow.Add(2*time.Second)), gossipNow); changed {
		t.Error("an announcement that was overtaken changed something")
	}
	if list := table.list(); len(list) != 1 || list[0].Incarnation != 2 {
		t.Errorf("list %+v", list)
	}
	if table.expire(gossipNow.Add(gossipExpiry)) {
		t.Error("forgotten too early")
	}
	if !table.expire(gossipNow.Add(gossipExpiry+1)) || len(table.list()) != 0 {
		t.Error("not forgotten")
	}
}

func TestGossipTable_bounded(t *testing.T) {
	self := peerSelf("me@h")
	key := testKey(t, testCookie)
	table := newGossipTable(self, key)
	for i := range gossipPeers + 1 {
		a := announcementOf(peerSelf(strings.Repeat("x", 1+i%200)+string(rune('0'+i/200))+"@h"), gossipNow)
		data, err := a.encode(key)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = table.receive(data, netip.Addr{}, gossipNow)
		if want := i == gossipPeers; errors.Is(err, errGossipFull) != want {
			t.Fatalf("node %d: %v", i, err)
		}
	}
}

func TestGossipTable_leaving(t *testing.T) {
	self := peerSelf("me@h")
	key := testKey(t, testCookie)
	table := newGossipTable(self, key)
	hear := func(leaving bool, at time.Duration, incarnation uint64) (changed, unknown bool) {
		t.Helper()
		from := peerSelf("a@h")
		from.Incarnation = incarnation
		a := announcementOf(from, gossipNow.Add(at))
		a.leaving = leaving
		data, err := a.encode(key)
		if err != nil {
			t.Fatal(err)
		}
		changed, unknown, err = table.receive(data, netip.Addr{}, gossipNow)
		if err != nil {
			t.Fatal(err)
		}
		return changed, unknown
	}
	if changed, unknown := hear(true, 0, 7); changed || unknown || len(table.list()) != 0 {
		t.Error("a stranger that leaves is news")
	}
	hear(false, time.Second, 7)
	if changed, unknown := hear(true, 2*time.Second, 7); !changed || unknown || len(table.list()) != 0 {
		t.Errorf("it leaves, and is still a candidate: %v", table.list())
	}
	if changed, _ := hear(false, 1500*time.Millisecond, 7); changed || len(table.list()) != 0 {
		t.Error("an announcement that was overtaken brings it back")
	}
	if changed, _ := hear(true, 3*time.Second, 7); changed {
		t.Error("to say it again is news")
	}
	if changed, unknown := hear(false, 4*time.Second, 8); !changed || !unknown || len(table.list()) != 1 {
		t.Error("its next life is no candidate")
	}
	hear(true, 5*time.Second, 8)
	if table.expire(gossipNow.Add(gossipExpiry + 1)) {
		t.Error("to forget one that had left is news")
	}
}

func TestGossipTable_secrets(t *testing.T) {
	self := peerSelf("me@h")
	older, newer := testKey(t, "the older secret"), testKey(t, "the newer secret")
	send := func(table *gossipTable, key []byte) error {
		data, err := announcementOf(peerSelf("a@h"), gossipNow).encode(key)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = table.receive(data, netip.Addr{}, gossipNow)
		return err
	}
	both := newGossipTable(self, newer, older)
	if err1, err2 := send(both, newer), send(both, older); err1 != nil || err2 != nil {
		t.Errorf("%v, %v", err1, err2)
	}
	if err := send(newGossipTable(self, newer), older); !errors.Is(err, errGossipSignature) {
		t.Errorf("a secret that was dropped: %v", err)
	}
}
