package screen

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// flat lays a line out as as many rows as its text has words.
type flat struct{}

func (flat) rows(l talk.Line, _ bool) []string { return strings.Fields(l.Text) }

// TestBacklog compares scrolling with a window that moves over the list of all rows.
func TestBacklog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBacklog()
		var all []string
		n := 0
		add := func() {
			words := make([]string, rapid.IntRange(1, 5).Draw(t, "rows"))
			for i := range words {
				n++
				words[i] = fmt.Sprint(n)
			}
			all = append(all, words...)
			b.add(talk.Line{Text: strings.Join(words, " ")})
		}
		for range rapid.IntRange(1, 30).Draw(t, "lines") {
			add()
		}
		height := rapid.IntRange(1, 20).Draw(t, "height")
		bottom := len(all) // the rows below which nothing is visible
		follow := true
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			k := rapid.IntRange(1, 25).Draw(t, "n")
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				b.up(flat{}, height, k)
				bottom = min(max(bottom-k, height), len(all))
			case 1:
				b.down(flat{}, k)
				bottom = min(bottom+k, len(all))
			case 2:
				add()
				if follow {
					bottom = len(all)
				}
			case 3:
				b.top(flat{}, height)
				bottom = min(height, len(all))
			case 4:
				b.tail()
				bottom = len(all)
			}
			follow = bottom == len(all)
			want := all[max(0, bottom-height):bottom]
			if got := b.view(flat{}, height); !slices.Equal(got, want) || b.follow != follow {
				t.Fatalf("sees %v (follow %v), want %v (%v)", got, b.follow, want, follow)
			}
		}
	})
}

func TestBacklogSearch(t *testing.T) {
	b := newBacklog()
	for i := range 1000 {
		b.add(talk.Line{Nick: "bob", Text: fmt.Sprintf("Message-%d", i)})
	}
	for _, want := range []string{"Message-950", "Message-850", "Message-750"} {
		if !b.search(flat{}, 10, "50", true) || b.lines[b.marked].Text != want {
			t.Fatalf("found %q, want %q", b.lines[b.marked].Text, want)
		}
		if !slices.Contains(b.view(flat{}, 10), want) {
			t.Errorf("%s is not visible", want)
		}
	}
	if !b.search(flat{}, 10, "MESSAGE-8", false) || b.lines[b.marked].Text != "Message-800" {
		t.Errorf("found %q towards the present", b.lines[b.marked].Text)
	}
	if b.search(flat{}, 10, "nothing", true) || b.search(flat{}, 10, "", true) {
		t.Error("found nothing")
	}
}

func TestBacklogIsBounded(t *testing.T) {
	b := newBacklog()
	for i := range maxBacklog + 5 {
		b.add(talk.Line{Text: fmt.Sprint(i)})
	}
	if len(b.lines) > maxBacklog || b.lines[0].Text != fmt.Sprint(dropBacklog) {
		t.Errorf("%d lines from %s", len(b.lines), b.lines[0].Text)
	}
}

// TestRowsAreSafe: whatever somebody writes, a row is no wider than it may be and holds no control characters but the
// styles of this program.
func TestRowsAreSafe(t *testing.T) {
	s := newStyles(true)
	rapid.Check(t, func(t *rapid.T) {
		m := messages{width: rapid.IntRange(2, 120).Draw(t, "width"), styles: &s, nick: "ann", zone: time.UTC}
		text := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("ab \x1b[31m漢👩‍é\u0301\u202e\n\t\a")), 0, 300, -1)).Draw(t, "text")
		kind := rapid.SampledFrom([]talk.Kind{talk.Message, talk.Direct, talk.DirectSent, talk.ToAll, talk.Problem}).Draw(t, "kind")
		for _, row := range m.rows(talk.Line{Kind: kind, Nick: "bob", Room: "lobby", Text: text}, rapid.Bool().Draw(t, "marked")) {
			plain := ansi.Strip(row)
			if w := ansi.StringWidth(plain); w > m.width {
				t.Fatalf("%q is %d wide, not %d", plain, w, m.width)
			}
			if i := strings.IndexFunc(plain, unicode.IsControl); i >= 0 {
				t.Fatalf("%q has a control character", plain)
			}
		}
	})
}

// BenchmarkScroll moves by pages through 100,000 messages.
func BenchmarkScroll(b *testing.B) {
	s := newStyles(true)
	m := messages{width: 80, styles: &s, nick: "ann", zone: time.UTC}
	log := newBacklog()
	for i := range 100_000 {
		log.add(talk.Line{Kind: talk.Message, Room: "lobby", Nick: "bob", Text: fmt.Sprintf("message %d %s", i, strings.Repeat("word ", i%30))})
	}
	for b.Loop() {
		log.up(m, 40, 39)
		_ = log.view(m, 40)
	}
}
