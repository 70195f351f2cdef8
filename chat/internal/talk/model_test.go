package talk

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestMesh lets users come, talk and go on a simulated mesh whose frames, events and partitions come in any order, and
// checks that in the end every nick has one holder and everybody sees everybody, by the lines alone.
func TestMesh(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newSimMesh(t, rapid.IntRange(1, 3).Draw(t, "nodes"))
		partitions := rapid.Bool().Draw(t, "partitions")
		calm := rapid.Bool().Draw(t, "calm") && !partitions // nothing is slow: no time passes before all is done
		nicks := []string{"ann", "bob", "cid"}
		texts := 0
		for range rapid.IntRange(5, 120).Draw(t, "steps") {
			switch what := rapid.IntRange(0, 19).Draw(t, "what"); {
			case what == 0 && len(m.users) < 6:
				n := m.nodes[rapid.IntRange(0, len(m.nodes)-1).Draw(t, "node")]
				m.start(n, rapid.SampledFrom(nicks).Draw(t, "nick"))
			case what == 1 && partitions && len(m.nodes) > 1:
				a := rapid.IntRange(0, len(m.nodes)-2).Draw(t, "a")
				b := rapid.IntRange(a+1, len(m.nodes)-1).Draw(t, "b")
				if m.nodes[a].peers[m.nodes[b]] {
					m.cut(m.nodes[a], m.nodes[b])
				} else {
					m.link(m.nodes[a], m.nodes[b])
				}
			case what == 2 && !calm:
				m.pass(time.Duration(rapid.IntRange(1, 1500).Draw(t, "ms")) * time.Millisecond)
			case what <= 5 && len(m.users) > 0:
				u := m.users[rapid.IntRange(0, len(m.users)-1).Draw(t, "user")]
				if u.done || !u.talk.Ready() {
					continue
				}
				if rapid.IntRange(0, 9).Draw(t, "quits") == 0 {
					u.handle(End{})
					continue
				}
				texts++
				u.saidTo = append(u.saidTo, fmt.Sprint(texts))
				u.handle(Input{fmt.Sprint(texts)})
			default:
				m.step(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") })
			}
		}
		m.rest()
		if calm || !partitions {
			checkNobodyRenamed(t, m)
		}
		checkNicks(t, m)
		checkLines(t, m)
		checkMessages(t, m)
	})
}

// checkNicks: every nick has one holder, and it is the one that is registered.
func checkNicks(t *rapid.T, m *simMesh) {
	holder := map[string]*simUser{}
	for _, u := range m.users {
		if u.done {
			continue
		}
		nick := u.talk.Self().Nick
		if other := holder[nick]; other != nil {
			t.Fatalf("%s is the nick of %s and %s\n%s\n%s", nick, u.id, other.id, u.transcript(), other.transcript())
		}
		holder[nick] = u
		if u.nick != nick {
			t.Fatalf("%s calls itself %s and has registered %q\n%s", u.id, nick, u.nick, u.transcript())
		}
	}
}

// checkNobodyRenamed: without partitions nobody who has a nick loses it, and nothing goes wrong.
func checkNobodyRenamed(t *rapid.T, m *simMesh) {
	for _, u := range m.users {
		for _, l := range u.lines {
			if l.Kind == Problem {
				t.Fatalf("%s is told %q:\n%s", u.id, l.Text, u.transcript())
			}
		}
	}
}

// checkLines: the first line is the connected line, the rest tells a roster that is right in the end.
func checkLines(t *rapid.T, m *simMesh) {
	var want []string
	for _, u := range m.users {
		if !u.done {
			want = append(want, u.talk.Self().Nick)
		}
	}
	slices.Sort(want)
	for _, u := range m.users {
		if u.refused {
			if len(u.lines) > 0 {
				t.Fatalf("%s was refused and shows\n%s", u.id, u.transcript())
			}
			continue
		}
		if u.done {
			continue
		}
		if len(u.lines) < 2 || u.lines[0].Kind != Connected || u.lines[1].Kind != Roster {
			t.Fatalf("%s begins with\n%s", u.id, u.transcript())
		}
		here := map[string]int{}
		self := u.lines[0].Nick
		for _, l := range u.lines[1:] {
			switch l.Kind {
			case Roster:
				for _, n := range l.Names {
					here[n]++
				}
			case JoinedRoom:
				here[l.Nick]++
			case LeftRoom:
				here[l.Nick]--
			case Problem:
				if _, now, ok := strings.Cut(l.Text, "you are now "); ok {
					here[self]--
					self = now
					here[self]++
				}
			case Message:
				if here[l.Nick] < 1 {
					t.Fatalf("%s sees a message of %s, who is not shown to be here:\n%s", u.id, l.Nick, u.transcript())
				}
			}
		}
		maps.DeleteFunc(here, func(_ string, n int) bool { return n == 0 })
		if got := slices.Sorted(maps.Keys(here)); !slices.Equal(got, want) {
			t.Fatalf("%s sees %v, want %v:\n%s", u.id, got, want, u.transcript())
		}
		if got := u.talk.nicks("lobby"); !slices.Equal(got, want) {
			t.Fatalf("%s answers /who with %v, want %v:\n%s", u.id, got, want, u.transcript())
		}
	}
}

// checkMessages: everybody sees what a user said in its order and once, and all of it once the user knows them. While
// somebody is joining the sender may not know it yet, and a message may pass it by.
func checkMessages(t *rapid.T, m *simMesh) {
	last := map[*simUser]string{}
	for i, u := range m.users {
		if !u.done {
			last[u] = fmt.Sprint("last ", i)
			u.saidTo = append(u.saidTo, last[u])
			u.handle(Input{last[u]})
		}
	}
	m.rest()
	for _, u := range m.users {
		if u.done {
			continue
		}
		for _, from := range m.users {
			var got []string
			for _, l := range u.lines {
				if l.Kind == Message && slices.Contains(from.saidTo, l.Text) {
					got = append(got, l.Text)
				}
			}
			missed := missing(from.saidTo, got)
			if len(got)+len(missed) != len(from.saidTo) || from == u && len(missed) > 0 || slices.Contains(missed, last[from]) {
				t.Fatalf("%s sees %v of %s, who said %v:\n%s", u.id, got, from.id, from.saidTo, u.transcript())
			}
		}
	}
}

// missing are the elements of all that are not in part, or all of them when part is not a subsequence of all.
func missing(all, part []string) (out []string) {
	for _, s := range all {
		if len(part) > 0 && part[0] == s {
			part = part[1:]
		} else {
			out = append(out, s)
		}
	}
	if len(part) > 0 {
		return all
	}
	return out
}
