package screen

import "strings"

// The widths from which on the panes beside the messages are shown.
const (
	roomsFrom   = 60
	peopleFrom  = 90
	roomsWidth  = 18
	peopleWidth = 26
)

// panes are the widths of the three columns; zero is not shown. Between two columns there is a rule.
func (m *model) panes() (rooms, log, people int) {
	log = m.width
	if m.width >= roomsFrom {
		rooms = roomsWidth
		log -= rooms + 1
	}
	if m.width >= peopleFrom {
		people = peopleWidth
		log -= people + 1
	}
	return rooms, max(1, log), people
}

// logHeight is the height of the messages: all but the title, the status line and the input.
func (m *model) logHeight() int { return max(0, m.height-2-m.inputHeight()) }

func (m *model) inputHeight() int {
	return max(1, min(m.input.Height(), m.height-3))
}

func (m *model) resize(width, height int) {
	m.width, m.height = max(1, width), max(1, height)
	m.input.MaxHeight = max(1, min(maxInput, m.height/3))
	m.input.SetWidth(max(1, m.width-len(prompt)))
}

// messages is how lines are laid out now.
func (m *model) messages() messages {
	_, log, _ := m.panes()
	return messages{width: log, styles: &m.styles, nick: m.nick, zone: m.zone}
}

// hit is a place that does something when it is clicked.
type hit struct {
	x, y, width int
	do          func()
}

// click does what is at a place.
func (m *model) click(x, y int) {
	for _, h := range m.hits {
		if y == h.y && h.x <= x && x < h.x+h.width {
			h.do()
			return
		}
	}
}

// clip keeps a list within a height. It says how many are left out.
func clip(rows []string, height int) []string {
	if len(rows) <= height {
		return rows
	}
	return rows[:max(0, height)]
}

// pad makes a column as high as it must be.
func pad(rows []string, height int) []string {
	for len(rows) < height {
		rows = append(rows, "")
	}
	return rows
}

// blank is a row of spaces.
func blank(width int) string { return strings.Repeat(" ", max(0, width)) }
