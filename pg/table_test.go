package pg

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kith-mesh/kith/node"
)

// view is a membership as plain as can be: what tests compare the table, and what monitors tell, with.
type view map[key]map[string]int

func nameOf(o *origin, id uint64) string { return fmt.Sprintf("%s/%d", o.id.Name, id) }

func (v view) add(k key, who string, n int) {
	if v[k] == nil {
		v[k] = map[string]int{}
	}
	if v[k][who] += n; v[k][who] == 0 {
		delete(v[k], who)
	}
	if len(v[k]) == 0 {
		delete(v, k)
	}
}

func (v view) equal(o view) bool {
	return maps.EqualFunc(v, o, func(a, b map[string]int) bool { return maps.Equal(a, b) })
}

// apply does what a monitor's reader would do with a change.
func (v view) apply(c change) {
	for _, id := range c.ids {
		switch c.kind {
		case Joined:
			v.add(c.key, nameOf(c.origin, id), 1)
		case Left:
			v.add(c.key, nameOf(c.origin, id), -1)
		}
	}
}

// look reads the table.
func (t *table) look() view {
	v := view{}
	for _, space := range []map[string]*group{t.groups, t.globs} {
		for _, g := range space {
			for i := range g.shares {
				sh := &g.shares[i]
				sh.set.each(func(id uint64, n uint32) { v.add(g.key(), nameOf(sh.origin, id), int(n)) })
			}
		}
	}
	return v
}

// verify checks what must hold between the parts of a table.
func (t *table) verify(origins ...*origin) error {
	for _, space := range []map[string]*group{t.groups, t.globs} {
		for name, g := range space {
			if len(g.shares) == 0 {
				return fmt.Errorf("empty group %q is kept (PG-23)", name)
			}
			for i := range g.shares {
				sh := &g.shares[i]
				if sh.set.total() == 0 {
					return fmt.Errorf("empty share of %q is kept", name)
				}
				if !sh.origin.groups.has(g) {
					return fmt.Errorf("%v does not know of its share of %q", sh.origin.id, name)
				}
				if sh.more != nil {
					for id := range sh.more.meta {
						if sh.set.count(id) == 0 {
							return fmt.Errorf("metadata of %d is kept, which is not in %q", id, name)
						}
					}
				}
			}
		}
	}
	for _, o := range origins {
		for _, g := range o.groups.all() {
			if t.find(g.key()) != g || g.share(o) == nil {
				return fmt.Errorf("%v believes in a share of %q", o.id, g.name)
			}
		}
	}
	for id, r := range t.residents {
		for _, g := range r.all() {
			if sh := g.share(t.self); sh == nil || sh.set.count(id) == 0 {
				return fmt.Errorf("process %d is not in %q", id, g.name)
			}
		}
	}
	return nil
}

var testKeys = []key{{name: "a"}, {name: "a.b"}, {name: "a.c"}, {name: "a.*", pattern: true}, {name: "a.*"}, {name: ">", pattern: true}}

// TestTable runs random changes against the plainest possible model, and against a reader who knows only what the
// changes say.
func TestTable(t *testing.T) {
	t.Run("PG-31_PG-51_changes_are_exact", rapid.MakeCheck(func(t *rapid.T) {
		tab := newTable(node.ID{Name: "self", Incarnation: 1})
		origins := []*origin{tab.self, {id: node.ID{Name: "b", Incarnation: 2}}, {id: node.ID{Name: "c", Incarnation: 3}}}
		model, told := view{}, view{}
		anyKey := rapid.SampledFrom(testKeys)
		anyOrigin := rapid.SampledFrom(origins)
		// Few ids make repeats and leaves of members likely; many make crowds with an index.
		anyIDs := rapid.OneOf(
			rapid.SliceOfN(rapid.Uint64Range(0, 4), 1, 5),
			rapid.SliceOfN(rapid.Uint64Range(0, 60), 1, 40))
		tell := func(list ...change) {
			for _, c := range list {
				told.apply(c)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) {
				k, o, ids := anyKey.Draw(t, "key"), anyOrigin.Draw(t, "origin"), anyIDs.Draw(t, "ids")
				tell(tab.join(k, o, ids, nil))
				for _, id := range ids {
					model.add(k, nameOf(o, id), 1)
				}
			},
			"leave": func(t *rapid.T) {
				k, o, ids := anyKey.Draw(t, "key"), anyOrigin.Draw(t, "origin"), anyIDs.Draw(t, "ids")
				c, ok := tab.leave(k, o, ids)
				removed := 0
				for _, id := range ids {
					if model[k][nameOf(o, id)] > 0 {
						model.add(k, nameOf(o, id), -1)
						removed++
					}
				}
				if ok != (removed > 0) || len(c.ids) != removed {
					t.Fatalf("leave removed %d and reported %v %v", removed, ok, c.ids)
				}
				if ok {
					tell(c)
				}
			},
			"exit": func(t *rapid.T) {
				id := rapid.Uint64Range(0, 60).Draw(t, "id")
				list := tab.exit(id)
				seen := map[key]bool{}
				for _, c := range list {
					if seen[c.key] {
						t.Fatalf("two changes of %v for one exit (PG-52)", c.key)
					}
					seen[c.key] = true
				}
				tell(list...)
				for k, m := range model {
					if n := m[nameOf(tab.self, id)]; n > 0 {
						model.add(k, nameOf(tab.self, id), -n)
					}
				}
			},
			"down": func(t *rapid.T) {
				o := rapid.SampledFrom(origins[1:]).Draw(t, "origin")
				tell(tab.drop(o)...)
				for k, m := range model {
					for who, n := range maps.Clone(m) {
						if strings.HasPrefix(who, o.id.Name+"/") {
							model.add(k, who, -n)
						}
					}
				}
			},
			"sync": func(t *rapid.T) {
				o := rapid.SampledFrom(origins[1:]).Draw(t, "origin")
				parts := map[key][]uint64{}
				for range rapid.IntRange(0, 4).Draw(t, "parts") {
					parts[anyKey.Draw(t, "key")] = anyIDs.Draw(t, "ids")
				}
				tab.beginSync(o)
				for _, k := range slices.SortedFunc(maps.Keys(parts), func(a, b key) int { return strings.Compare(a.name, b.name) }) {
					tell(tab.set(o, part{key: k, ids: parts[k]})...)
				}
				list, ok := tab.endSync(o)
				if !ok {
					t.Fatal("no sync was under way")
				}
				tell(list...)
				for k, m := range model {
					for who, n := range maps.Clone(m) {
						if strings.HasPrefix(who, o.id.Name+"/") {
							model.add(k, who, -n)
						}
					}
				}
				for k, ids := range parts {
					for _, id := range ids {
						model.add(k, nameOf(o, id), 1)
					}
				}
				// Repeating it changes nothing.
				tab.beginSync(o)
				for k, ids := range parts {
					if list := tab.set(o, part{key: k, ids: ids}); len(list) > 0 {
						t.Fatalf("the same sync again changes %v", list)
					}
				}
				if list, _ := tab.endSync(o); len(list) > 0 {
					t.Fatalf("the end of the same sync changes %v", list)
				}
			},
			"": func(t *rapid.T) {
				now := tab.look()
				if !now.equal(model) {
					t.Fatalf("table %v, model %v", now, model)
				}
				if !told.equal(model) {
					t.Fatalf("told %v, model %v", told, model)
				}
				if err := tab.verify(origins...); err != nil {
					t.Fatal(err)
				}
			},
		})
	}))
}

func TestTableMeta(t *testing.T) {
	tab := newTable(node.ID{Name: "self", Incarnation: 1})
	o := &origin{id: node.ID{Name: "b", Incarnation: 2}}
	k := key{name: "g"}
	tab.set(o, part{key: k, ids: []uint64{1, 2}, meta: map[uint64]Meta{1: {"n": "x"}}})
	list := tab.set(o, part{key: k, ids: []uint64{1, 2, 3}, meta: map[uint64]Meta{1: {"n": "y"}, 3: {"n": "z"}}})
	if len(list) != 2 || list[0].kind != Joined || list[0].meta[3]["n"] != "z" || list[1].kind != Updated || list[1].meta[1]["n"] != "y" {
		t.Fatalf("changes %+v", list)
	}
	if list := tab.set(o, part{key: k, ids: []uint64{1, 2, 3}, meta: map[uint64]Meta{1: {"n": "y"}, 3: {"n": "z"}}}); len(list) != 0 {
		t.Fatalf("the same again: %+v", list)
	}
	list = tab.set(o, part{key: k, ids: []uint64{1, 2, 3}})
	if len(list) != 1 || list[0].kind != Updated || len(list[0].ids) != 2 {
		t.Fatalf("metadata taken away: %+v", list)
	}
	if _, ok := tab.setMeta(k, o, 9, Meta{"a": "b"}); ok {
		t.Fatal("metadata of somebody who is no member")
	}
}

// TestTrie compares the trie with the plain definition of a pattern.
func TestTrie(t *testing.T) {
	t.Run("patterns", rapid.MakeCheck(func(t *rapid.T) {
		token := rapid.SampledFrom([]string{"a", "b", "*", "sport"})
		var tr trie
		have := map[string]*group{}
		var names []string
		for i := range 12 {
			tokens := rapid.SliceOfN(token, 1, 4).Draw(t, "tokens")
			if rapid.Bool().Draw(t, "tail") {
				tokens = append(tokens, ">")
			}
			name := strings.Join(tokens, ".")
			if checkPattern(name) != nil {
				t.Fatalf("%q refused", name)
			}
			if have[name] == nil {
				have[name] = &group{name: name, pattern: true}
				tr.add(have[name])
				names = append(names, name)
			}
			if i%3 == 2 {
				gone := rapid.SampledFrom(names).Draw(t, "gone")
				if have[gone] != nil {
					tr.remove(have[gone])
					delete(have, gone)
				}
			}
			subject := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*", "", "sport"}), 1, 5).Draw(t, "subject"), ".")
			var got, want []string
			tr.match(subject, func(g *group) { got = append(got, g.name) })
			for n := range have {
				if matches(n, subject) {
					want = append(want, n)
				}
			}
			sort.Strings(got)
			sort.Strings(want)
			if !slices.Equal(got, want) {
				t.Fatalf("%q matches %q, want %q", subject, got, want)
			}
		}
		for _, g := range have {
			tr.remove(g)
		}
		if tr.size != 0 || !tr.root.empty() {
			t.Fatalf("an empty trie keeps %+v", tr)
		}
	}))
}

// matches is the definition of a pattern.
func matches(pattern, name string) bool {
	p, n := strings.Split(pattern, "."), strings.Split(name, ".")
	for i, tok := range p {
		if tok == ">" && i == len(p)-1 {
			return len(n) > i
		}
		if i >= len(n) || tok != "*" && tok != n[i] {
			return false
		}
	}
	return len(p) == len(n)
}

func TestTopic(t *testing.T) {
	for _, c := range []struct {
		k    key
		want string
	}{
		{key{name: "room"}, "g.pg.room"},
		{key{name: "sport.tennis.goal"}, "g.pg.sport.tennis.goal"},
		{key{name: "sport.*.goal", pattern: true}, "g.pg.sport.*.goal"},
		{key{name: "sport.*.goal"}, "g.pg.sport._2a.goal"},
		{key{name: "sport.>", pattern: true}, "g.pg.sport.>"},
		{key{name: "a..b"}, "g.pg.a._.b"},
		{key{name: "."}, "g.pg._._"},
		{key{name: "a_b c\x00é"}, "g.pg.a_5fb_20c_00_c3_a9"},
		{key{name: "x*", pattern: true}, "g.pg.x_2a"},
	} {
		if got := c.k.topic("pg"); got != c.want {
			t.Errorf("topic of %+v: %q, want %q", c.k, got, c.want)
		}
	}
	if a, b := (key{name: "c"}).topic("a.b"), (key{name: "b.c"}).topic("a"); a == b {
		t.Errorf("two scopes share %q", a)
	}
	t.Run("no_two_names_share_a_topic", rapid.MakeCheck(func(t *rapid.T) {
		name := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]byte("a._*>\x00Z-2")), 1, 6), func(b []byte) string { return string(b) })
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		if (a == b) != (key{name: a}.topic("s") == key{name: b}.topic("s")) {
			t.Fatalf("%q and %q", a, b)
		}
		for _, tok := range strings.Split(key{name: a}.topic("s"), ".") {
			if tok == "" || strings.ContainsAny(tok, "*> ") {
				t.Fatalf("%q has a bad token", key{name: a}.topic("s"))
			}
		}
	}))
}

func TestCheckName(t *testing.T) {
	for _, bad := range []string{"", strings.Repeat("x", 256)} {
		if checkName("group", bad) == nil {
			t.Errorf("%d bytes accepted", len(bad))
		}
	}
	for _, bad := range []string{"", "a..b", ".a", "a.", ">.a", strings.Repeat("x", 256)} {
		if checkPattern(bad) == nil {
			t.Errorf("pattern %q accepted", bad)
		}
	}
}

// TestCountsDoNotWrap has processes in a group more often than a count holds, or all of them together more often than a turn
// does: the group must not look empty.
func TestCountsDoNotWrap(t *testing.T) {
	const most = math.MaxUint32
	for name, ids := range map[string][]uint64{"one_process": {7}, "two_processes": {7, 8}} {
		t.Run(name, func(t *testing.T) {
			var m multiset
			for _, id := range ids {
				m.add(id, most)
				m.add(id, 1)
			}
			for _, id := range ids {
				if m.count(id) != most {
					t.Errorf("%d is in it %d times", id, m.count(id))
				}
			}
			if m.total() != len(ids)*most {
				t.Errorf("a total of %d", m.total())
			}
		})
	}
	t.Run("turns", func(t *testing.T) {
		sh := share{origin: &origin{}}
		sh.set.add(7, most)
		sh.set.add(8, 1)
		g := &group{}
		for range 3 {
			if p := g.pick([]*share{&sh}, RoundRobin(), 0); p.ID != 7 {
				t.Errorf("picked %v", p)
			}
		}
	})
}
