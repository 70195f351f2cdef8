package screen

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// shortcuts are the keys, as the help shows them.
var shortcuts = [][2]string{
	{"Enter", "send; Alt+Enter begins a new line"},
	{"Tab", "complete a nick, a room or a command"},
	{"Up, Down", "what you wrote before"},
	{"PgUp, PgDn, wheel", "scroll; Ctrl+Home, Ctrl+End: first, newest"},
	{"Ctrl+N, Ctrl+P", "next room, last room; Alt+1 to Alt+9"},
	{"Ctrl+F", "search; Enter: older, Down: newer, Esc: end"},
	{"Esc", "close this, or go to the newest message"},
	{"Ctrl+C, Ctrl+D", "leave, when nothing is written"},
}

// key does what a key is for.
func (m *model) key(msg tea.KeyPressMsg) tea.Cmd {
	k := msg.Keystroke()
	if m.help {
		m.help = false
		if k != "ctrl+c" {
			return nil
		}
	}
	if m.searching {
		return m.searchKey(msg, k)
	}
	if k != "tab" && k != "shift+tab" {
		m.completing = nil
	}
	if m.scrollKey(k) || m.tabKey(k) {
		return nil
	}
	switch k {
	case "enter":
		m.send()
	case "tab":
		m.complete(1)
	case "shift+tab":
		m.complete(-1)
	case "f1":
		m.help = true
	case "ctrl+f":
		m.startSearch("")
	case "esc":
		if log := m.log(); log != nil {
			log.tail()
			log.unmark()
		}
	case "ctrl+c", "ctrl+d":
		return m.leave(msg, k)
	case "up", "down":
		if m.recall(k) {
			return nil
		}
		return m.edit(msg)
	default:
		return m.edit(msg)
	}
	return nil
}

// edit gives a key to the input line.
func (m *model) edit(msg tea.Msg) tea.Cmd {
	before := m.input.Value()
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(msg)
	if text := m.input.Value(); text != before {
		if text != "" && text[0] != '/' {
			m.emit(talk.Keystroke{})
		}
		m.resize(m.width, m.height)
	}
	return cmd
}

// leave ends the chat, or clears what is written; Ctrl+D within a text deletes.
func (m *model) leave(msg tea.Msg, k string) tea.Cmd {
	switch {
	case m.input.Value() == "":
		m.emit(talk.End{})
	case k == "ctrl+c":
		m.write("")
	default:
		return m.edit(msg)
	}
	return nil
}

// recall brings back what was written before, from the first row up and from the last row down.
func (m *model) recall(k string) bool {
	step := 1
	if k == "down" {
		step = -1
	}
	rows := m.input.LineCount()
	if step > 0 && m.input.Line() > 0 || step < 0 && m.input.Line() < rows-1 {
		return false
	}
	text, ok := m.history.move(step, m.input.Value())
	if ok {
		m.write(text)
	}
	return ok
}

// complete puts the next completion in place.
func (m *model) complete(step int) {
	if m.completing == nil {
		before, after := m.aroundCursor()
		m.completing = complete(before, after, m.words())
	}
	c := m.completing
	if c == nil {
		return
	}
	text, before := c.next(step)
	m.input.SetValue(text)
	m.moveTo(before)
	m.completing = c
}

// aroundCursor is the text before and behind the cursor.
func (m *model) aroundCursor() (before, after string) {
	lines := strings.Split(m.input.Value(), "\n")
	at := m.input.Line()
	row := []rune(lines[at])
	col := min(m.input.Column(), len(row))
	before = strings.Join(append(slices.Clone(lines[:at]), string(row[:col])), "\n")
	after = strings.Join(append([]string{string(row[col:])}, lines[at+1:]...), "\n")
	return before, after
}

// moveTo puts the cursor behind a text that the input begins with.
func (m *model) moveTo(before string) {
	row := strings.Count(before, "\n")
	m.input.MoveToBegin()
	for range row {
		m.input.CursorDown()
	}
	m.input.SetCursorColumn(len([]rune(before[strings.LastIndexByte(before, '\n')+1:])))
}

// words are what Tab can complete to now.
func (m *model) words() words {
	w := words{nicks: m.state.Users, commands: []string{"/search"}}
	for _, c := range talk.Commands() {
		name, _, _ := strings.Cut(c, " ")
		w.commands = append(w.commands, name)
	}
	for _, r := range slices.Concat(m.state.Rooms, m.state.Others) {
		w.rooms = append(w.rooms, r.Name)
	}
	return w
}

// scrollKey scrolls the messages.
func (m *model) scrollKey(k string) bool {
	log, page := m.log(), max(1, m.logHeight()-1)
	if log == nil {
		return false
	}
	switch k {
	case "pgup":
		m.scrollUp(log, page)
	case "pgdown":
		log.down(m.messages(), page)
	case "ctrl+home":
		log.top(m.messages(), m.logHeight())
	case "ctrl+end":
		log.tail()
	default:
		return false
	}
	return true
}

// scrollUp scrolls towards the past, and asks for what was before the oldest message when that is reached.
func (m *model) scrollUp(log *backlog, n int) {
	before := *log
	log.up(m.messages(), m.logHeight(), n)
	if log.last == before.last && log.end == before.end && log.follow == before.follow {
		m.older()
	}
}

// older asks for what was said before. Of conversations nothing is kept, and the talk would read its current room.
func (m *model) older() {
	if t := m.tabs.now(); t != nil && !t.direct {
		m.emit(talk.Older{})
	}
}

// tabKey changes the room.
func (m *model) tabKey(k string) bool {
	n := len(m.tabs.list)
	switch {
	case n == 0:
		return false
	case k == "ctrl+n" || k == "alt+down":
		m.show((m.tabs.current + 1) % n)
	case k == "ctrl+p" || k == "alt+up":
		m.show((m.tabs.current + n - 1) % n)
	case len(k) == 5 && strings.HasPrefix(k, "alt+") && k[4] >= '1' && k[4] <= '9':
		m.show(int(k[4] - '1'))
	default:
		return false
	}
	return true
}

// startSearch asks for what to search, or searches for text.
func (m *model) startSearch(text string) {
	m.searching, m.query, m.missed = true, text, false
	if text != "" {
		m.search(true)
	}
}

func (m *model) search(older bool) {
	if log := m.log(); log != nil {
		m.missed = !log.search(m.messages(), m.logHeight(), m.query, older)
	}
}

// searchKey is key while searching.
func (m *model) searchKey(msg tea.KeyPressMsg, k string) tea.Cmd {
	switch k {
	case "esc", "ctrl+c":
		m.searching = false
		if log := m.log(); log != nil {
			log.unmark()
		}
	case "enter", "up", "ctrl+f":
		m.search(true)
	case "down":
		m.search(false)
	case "backspace":
		if r := []rune(m.query); len(r) > 0 {
			m.query = string(r[:len(r)-1])
		}
		m.restart()
	default:
		if !m.scrollKey(k) && msg.Text != "" {
			m.query += msg.Text
			m.restart()
		}
	}
	return nil
}

// restart searches for what is now written from the newest message.
func (m *model) restart() {
	if log := m.log(); log != nil {
		log.unmark()
		log.tail()
		m.missed = m.query != "" && !log.search(m.messages(), m.logHeight(), m.query, true)
	}
}

// wheel scrolls three rows.
func (m *model) wheel(msg tea.MouseWheelMsg) {
	log := m.log()
	if log == nil {
		return
	}
	switch msg.Button {
	case tea.MouseWheelUp:
		m.scrollUp(log, 3)
	case tea.MouseWheelDown:
		log.down(m.messages(), 3)
	}
}
