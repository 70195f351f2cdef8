package screen

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// Still is a screen at one moment.
type Still struct {
	// Width and Height are its size in cells.
	Width, Height int
	// Zone is where the times are.
	Zone *time.Location
	// Shown is what the talk has shown, in order.
	Shown []Shown
	// Input is what is written on the input line.
	Input string
}

// Shown is one of three: a line, what was said before, or the state of the talk.
type Shown struct {
	Line *talk.Line
	Past *talk.ShowPast
	View *talk.View
}

// Draw returns a screen as a terminal with a dark background and 256 colours gets it: rows with their styles as escape
// sequences. It is for pictures; a Screen draws itself.
func Draw(s Still) string {
	var next news
	m := newModel(func(talk.Event) {}, func() news { return next })
	m.zone = s.Zone
	m.Update(tea.WindowSizeMsg{Width: s.Width, Height: s.Height})
	for _, shown := range s.Shown {
		switch next = (news{view: shown.View}); {
		case shown.Line != nil:
			next.lines = []talk.Line{*shown.Line}
		case shown.Past != nil:
			next.past = []talk.ShowPast{*shown.Past}
		}
		m.Update(pending{})
		m.tabs.show(m.tabs.find(inRoom(m.state.Room)))
	}
	m.write(s.Input)
	return m.View().Content
}
