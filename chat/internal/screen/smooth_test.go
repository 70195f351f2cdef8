package screen

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// long is a desk with a room of this many messages.
func long(t testing.TB, messages int) *desk {
	d := newDesk(t, 110, 40)
	d.enter()
	lines := make([]talk.Line, messages)
	for i := range lines {
		lines[i] = talk.Line{
			Kind: talk.Message, Time: d.now, Room: "lobby", Nick: "bob",
			Text: fmt.Sprintf("Message %d %s", i, strings.Repeat("and more words ", i%7)),
		}
	}
	d.lines = lines
	d.m.Update(pending{})
	return d
}

// works are what a person does, one of each.
var works = []struct {
	name string
	do   func(d *desk)
}{
	{"typing", func(d *desk) { d.press("x") }},
	{"deleting", func(d *desk) { d.press("backspace") }},
	{"a_page_up", func(d *desk) { d.press("pgup") }},
	{"a_page_down", func(d *desk) { d.press("pgdown") }},
	{"to_the_beginning", func(d *desk) { d.press("ctrl+home") }},
	{"to_the_end", func(d *desk) { d.press("ctrl+end") }},
	{"wheel", func(d *desk) { d.m.Update(tea.MouseWheelMsg{Button: tea.MouseWheelUp}) }},
	{"a_message_comes", func(d *desk) { d.say("lobby", "bob", "hello") }},
	{"resize", func(d *desk) {
		d.m.Update(tea.WindowSizeMsg{Width: 70, Height: 30})
		d.m.Update(tea.WindowSizeMsg{Width: 110, Height: 40})
	}},
}

// TestSmooth: what a key costs does not grow with the room, by what it allocates: every row that is laid out does.
func TestSmooth(t *testing.T) {
	small, large := long(t, 2000), long(t, 100_000)
	cost := func(d *desk, do func(*desk)) float64 {
		return testing.AllocsPerRun(10, func() {
			do(d)
			d.m.View()
		})
	}
	for _, w := range works {
		few, many := cost(small, w.do), cost(large, w.do)
		if many > 1.5*few+200 {
			t.Errorf("%s: %.0f allocations in a room of 2,000, %.0f in one of 100,000", w.name, few, many)
		}
	}
}

// BenchmarkKey is what one key costs in a room of 100,000 messages, until the screen is drawn.
func BenchmarkKey(b *testing.B) {
	d := long(b, 100_000)
	for _, w := range works {
		b.Run(w.name, func(b *testing.B) {
			for b.Loop() {
				w.do(d)
				d.m.View()
			}
		})
	}
	b.Run("search_all", func(b *testing.B) {
		for b.Loop() {
			log := d.m.log()
			log.tail()
			log.unmark()
			if log.search(d.m.messages(), 40, "nowhere to be found", true) {
				b.Fatal("found")
			}
		}
	})
}
