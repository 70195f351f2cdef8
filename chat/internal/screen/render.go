package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// prompt stands in front of what is written.
const prompt = "> "

// View draws the screen.
func (m *model) View() tea.View {
	m.hits = m.hits[:0]
	height := m.logHeight()
	rooms, log, people := m.panes()
	columns := [][]string{m.roomRows(rooms, height), m.logRows(height), m.peopleRows(people, rooms+1+log+1, height)}
	widths := []int{rooms, log, people}
	var rows []string
	rows = append(rows, m.titleRow())
	for y := range height {
		var row strings.Builder
		for i, width := range widths {
			if width == 0 {
				continue
			}
			if row.Len() > 0 {
				row.WriteString(m.styles.rule.Render("│"))
			}
			row.WriteString(fit(columns[i][y], width))
		}
		rows = append(rows, row.String())
	}
	rows = append(rows, m.statusRow())
	input, cursor := m.inputRows()
	if cursor != nil {
		cursor.Y += len(rows)
	}
	rows = append(rows, input...)
	v := tea.NewView(strings.Join(clip(rows, m.height), "\n"))
	v.AltScreen, v.MouseMode, v.Cursor = true, tea.MouseModeCellMotion, cursor
	v.WindowTitle = m.windowTitle()
	return v
}

// fit cuts or pads a styled row to a width.
func fit(s string, width int) string {
	if w := ansi.StringWidth(s); w > width {
		s = ansi.Truncate(s, width, "…")
	}
	return s + blank(width-ansi.StringWidth(s))
}

func (m *model) windowTitle() string {
	unread := 0
	for _, t := range m.tabs.list {
		unread += t.unread
	}
	title := "kith"
	if t := m.tabs.now(); t != nil {
		title = t.name + " - kith"
	}
	if unread > 0 {
		title = fmt.Sprintf("(%d) %s", unread, title)
	}
	return title
}

func (m *model) titleRow() string {
	t := m.tabs.now()
	if t == nil {
		return m.styles.title.Render(fit(" connecting…", m.width))
	}
	left := " " + t.name
	switch {
	case t.left:
		left += "  left"
	case !t.direct:
		left += fmt.Sprintf("  %d here", len(m.state.People))
	}
	up := 0
	for _, n := range m.state.Nodes {
		if n.Gone == "" {
			up++
		}
	}
	nodes := "nodes"
	if up == 1 {
		nodes = "node"
	}
	right := fmt.Sprintf("%s on %s  %d %s ", m.nick, m.state.Self.ID.Node, up, nodes)
	if m.state.Self.Away != "" {
		right = "away  " + right
	}
	if gap := m.width - ansi.StringWidth(left) - ansi.StringWidth(right); gap > 0 {
		left += blank(gap) + right
	}
	return m.styles.title.Render(fit(left, m.width))
}

// roomRows are the rooms: those entered with what is unread, and the others.
func (m *model) roomRows(width, height int) []string {
	if width == 0 {
		return nil
	}
	var rows []string
	add := func(row string, do func()) {
		if do != nil && len(rows) < height { // what is clipped lies under the status and the input
			m.hits = append(m.hits, hit{0, 1 + len(rows), width, do})
		}
		rows = append(rows, row)
	}
	for i, t := range m.tabs.list {
		name := " " + t.name
		count := ""
		if t.unread > 0 {
			count = fmt.Sprintf(" %d", t.unread)
		}
		row := fit(name, width-len(count)) + count
		switch {
		case t.left:
			row = m.styles.faint.Render(row)
		case i == m.tabs.current:
			row = m.styles.current.Render(row)
		case t.mention || t.unread > 0:
			row = m.styles.unread.Render(row)
		}
		add(row, func() { m.show(i) })
	}
	if others := m.others(); len(others) > 0 {
		add("", nil)
		add(m.styles.heading.Render(fit(" other rooms", width)), nil)
		for _, r := range others {
			count := fmt.Sprintf(" %d", r.Members)
			row := m.styles.faint.Render(fit(" "+r.Name, width-len(count)) + count)
			add(row, func() { m.emit(talk.Input{Text: "/join " + r.Name}); m.history.add("/join " + r.Name) })
		}
	}
	return pad(clip(rows, height), height)
}

// others are the rooms that the user is not in.
func (m *model) others() []talk.RoomView {
	return slices.DeleteFunc(slices.Clone(m.state.Others), func(r talk.RoomView) bool { return m.tabs.in(inRoom(r.Name)) })
}

// logRows are the messages, or what stands in their place.
func (m *model) logRows(height int) []string {
	_, width, _ := m.panes()
	switch {
	case m.help:
		return pad(clip(m.helpRows(width), height), height)
	case m.log() == nil:
		return pad(nil, height)
	}
	rows := m.log().view(m.messages(), height)
	if len(rows) < height { // a young room fills from the bottom
		rows = append(pad(nil, height-len(rows)), rows...)
	}
	return rows
}

func (m *model) helpRows(width int) []string {
	rows := []string{m.styles.heading.Render("Keys")}
	for _, s := range shortcuts {
		rows = append(rows, "  "+fit(s[0], 19)+s[1])
	}
	rows = append(rows, "", m.styles.heading.Render("Commands"))
	for _, c := range append(talk.Commands(), "/search TEXT") {
		rows = append(rows, "  "+c)
	}
	for i, r := range rows {
		rows[i] = ansi.Truncate(r, width, "…")
	}
	return rows
}

// peopleRows are those in the room and the nodes of the mesh.
func (m *model) peopleRows(width, x, height int) []string {
	if width == 0 {
		return nil
	}
	nodes := m.nodeRows(width)
	room := height - len(nodes) - 1
	people := []string{m.styles.heading.Render(fmt.Sprintf(" %d here", len(m.state.People)))}
	for i, p := range m.state.People {
		if len(people) >= max(room, 2)-1 && i < len(m.state.People)-1 {
			people = append(people, m.styles.faint.Render(fmt.Sprintf(" and %d more", len(m.state.People)-i)))
			break
		}
		if !p.Self {
			m.hits = append(m.hits, hit{x, 1 + len(people), width, func() { m.write("/msg " + p.Nick + " ") }})
		}
		people = append(people, m.personRow(p, width))
	}
	rows := pad(clip(people, max(0, room)), room)
	return pad(clip(append(append(rows, ""), nodes...), height), height)
}

func (m *model) personRow(p talk.PersonView, width int) string {
	node, _, _ := strings.Cut(p.Node, "@")
	note := ""
	switch {
	case p.Typing:
		note = " typing…"
	case p.Away != "":
		note = " " + talk.Escape(p.Away)
	case node != p.Nick:
		note = " " + node
	}
	nick := m.styles.nick(p.Nick).Render(p.Nick)
	if p.Away != "" {
		nick = m.styles.faint.Render(p.Nick)
	}
	return ansi.Truncate(" "+nick+m.styles.faint.Render(note), width, "…")
}

func (m *model) nodeRows(width int) []string {
	rows := []string{m.styles.heading.Render(" mesh")}
	for _, n := range m.state.Nodes {
		mark, note := m.styles.good.Render("●"), ""
		switch {
		case n.Gone != "":
			mark, note = m.styles.bad.Render("○"), n.Gone
		case n.Self:
			note = "this node"
		case n.RTT > 0:
			note = shortTime(n.RTT)
		}
		name, _, _ := strings.Cut(n.Name, "@")
		row := fmt.Sprintf(" %s %s %s", mark, name, m.styles.faint.Render(note))
		rows = append(rows, ansi.Truncate(row, width, "…"))
	}
	return rows
}

// shortTime is a round-trip time with two digits.
func shortTime(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// statusRow says what is going on, or which keys help.
func (m *model) statusRow() string {
	var s string
	log := m.log()
	switch {
	case m.searching && m.missed:
		s = "nothing found"
	case m.searching:
		s = "Enter: older  Down: newer  Esc: end"
	case log != nil && !log.follow && log.fresh > 0:
		s = fmt.Sprintf("%d new below: Esc", log.fresh)
	case log != nil && !log.follow:
		s = "scrolled back: Esc for the newest"
	case m.typists() != "":
		s = m.typists()
	default:
		s = "F1: help  Tab: complete  Ctrl+N: next room  PgUp: back  Ctrl+F: search"
	}
	return m.styles.status.Render(fit(" "+s, m.width))
}

// typists are those who are writing.
func (m *model) typists() string {
	var nicks []string
	for _, p := range m.state.People {
		if p.Typing {
			nicks = append(nicks, p.Nick)
		}
	}
	switch len(nicks) {
	case 0:
		return ""
	case 1:
		return nicks[0] + " is typing…"
	case 2:
		return nicks[0] + " and " + nicks[1] + " are typing…"
	}
	return fmt.Sprintf("%d people are typing…", len(nicks))
}

// inputRows are what is being written, and where the cursor is.
func (m *model) inputRows() ([]string, *tea.Cursor) {
	if m.searching {
		row := fit("search: "+talk.Escape(m.query), m.width)
		return pad([]string{row}, m.inputHeight()), tea.NewCursor(min(m.width-1, 8+ansi.StringWidth(m.query)), 0)
	}
	rows := strings.Split(m.input.View(), "\n")
	for i, r := range rows {
		lead := blank(len(prompt))
		if i == 0 {
			lead = m.styles.bold.Render(prompt)
		}
		rows[i] = ansi.Truncate(lead+r, m.width, "")
	}
	cursor := m.input.Cursor()
	if cursor != nil {
		cursor.X += len(prompt)
	}
	return clip(rows, m.inputHeight()), cursor
}
