package screen

import (
	"fmt"
	"strings"
	"time"

	"charm.land/bubbles/v2/textarea"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// model is the state of the screen. Its owner is the bubbletea program.
type model struct {
	emit func(talk.Event)
	take func() news

	width, height int
	styles        styles
	zone          *time.Location
	nick          string
	state         talk.View
	tabs          tabs
	input         textarea.Model
	history       history
	completing    *completion
	searching     bool
	query         string // what is searched for
	missed        bool   // and was not found
	help          bool
	hits          []hit // what a click does, by place, as last drawn
}

const (
	// maxInput is how many rows the line to write on may grow to.
	maxInput = 6
	// maxContent is how many rows it may have, with those that are not shown.
	maxContent = 10_000
)

func newModel(emit func(talk.Event), take func() news) *model {
	m := &model{emit: emit, take: take, styles: newStyles(true), zone: time.Local, width: 80, height: 24}
	m.input = textarea.New()
	m.input.Prompt = ""
	m.input.ShowLineNumbers = false
	m.input.CharLimit = 0
	m.input.MaxHeight = maxInput
	m.input.MaxContentHeight = maxContent
	m.input.DynamicHeight = true
	m.input.SetVirtualCursor(false)
	m.input.KeyMap.InsertNewline.SetKeys("alt+enter", "ctrl+j", "shift+enter")
	m.input.KeyMap.LineNext.SetKeys("down")
	m.input.KeyMap.LinePrevious.SetKeys("up")
	m.dress(true)
	m.input.Focus()
	m.resize(m.width, m.height)
	return m
}

// dress picks the colours for a dark or a light background.
func (m *model) dress(dark bool) {
	m.styles = newStyles(dark)
	s := textarea.DefaultStyles(dark)
	s.Focused.CursorLine = lipgloss.NewStyle()
	s.Focused.Placeholder = m.styles.faint
	m.input.SetStyles(s)
}

// Init asks the terminal for its background.
func (m *model) Init() tea.Cmd { return tea.RequestBackgroundColor }

// Update takes what happens.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case pending:
		m.receive()
		return m, nil
	case tea.WindowSizeMsg:
		m.resize(msg.Width, msg.Height)
		return m, nil
	case tea.BackgroundColorMsg:
		m.dress(msg.IsDark())
		return m, nil
	case tea.KeyPressMsg:
		return m, m.key(msg)
	case tea.PasteMsg:
		m.paste(msg.Content)
		return m, nil
	case tea.MouseWheelMsg:
		m.wheel(msg)
		return m, nil
	case tea.MouseClickMsg:
		m.click(msg.X, msg.Y)
		return m, nil
	}
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(msg)
	return m, cmd
}

// paste puts a text into the input. One with more rows than the input may have is refused before that looks at it: it would
// take minutes to find that out.
func (m *model) paste(text string) {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	if rows := m.input.LineCount() + strings.Count(text, "\n"); rows > maxContent {
		problem := fmt.Sprintf("too much to paste: %d lines, at most %d", rows, maxContent)
		m.tabs.add(talk.Line{Kind: talk.Problem, Time: time.Now(), Text: problem}, m.nick)
		return
	}
	m.completing = nil
	m.input.InsertString(text)
}

// receive takes lines and the view from the talk.
func (m *model) receive() {
	got := m.take()
	for _, l := range got.lines {
		if l.Kind == talk.Connected {
			m.nick = l.Nick
			continue
		}
		if l.Entered {
			m.entered(l.Room)
		}
		if l.Kind == talk.LeftRoom && l.Mine {
			m.leaves(l)
			continue
		}
		m.tabs.add(l, m.nick)
	}
	for _, p := range got.past {
		if i := m.tabs.find(inRoom(p.Room)); i >= 0 {
			m.tabs.list[i].log.prepend(m.messages(), m.logHeight(), p.Lines, p.Asked)
		}
	}
	if got.view != nil {
		m.state = *got.view
		m.nick = got.view.Self.Nick
	}
	m.resize(m.width, m.height)
}

// entered shows a room that the user has come into. The talk is told of it, unless it is the first: a change of rooms may
// be on its way to it that was asked for before the roster came, and would leave it in another room than the one shown.
func (m *model) entered(room string) {
	first := m.tabs.now() == nil
	m.tabs.enter(inRoom(room))
	if !first {
		m.follow()
	}
}

// leaves drops a room that the user has left, or says so where it stays to be seen.
func (m *model) leaves(l talk.Line) {
	m.tabs.leave(inRoom(l.Room))
	if m.tabs.find(inRoom(l.Room)) >= 0 {
		m.tabs.add(l, m.nick)
	}
	m.follow()
}

// follow tells the talk which room is shown, so that what is written goes there.
func (m *model) follow() {
	if t := m.tabs.now(); t != nil && !t.direct && !t.left {
		m.emit(talk.Switch{Room: t.name})
	}
}

// show makes a tab the current one and keeps what was being written for the other.
func (m *model) show(i int) {
	if i < 0 || i >= len(m.tabs.list) || i == m.tabs.current {
		return
	}
	m.tabs.now().draft = m.input.Value()
	m.tabs.show(i)
	m.write(m.tabs.now().draft)
	m.follow()
}

// write puts a text on the input line.
func (m *model) write(text string) {
	m.completing = nil
	m.input.SetValue(text)
	m.input.MoveToEnd()
	m.resize(m.width, m.height)
}

// send sends what is written: to the room or the user whose tab is shown, each line by itself.
func (m *model) send() {
	text := m.input.Value()
	if strings.TrimSpace(text) == "" {
		return
	}
	m.history.add(text)
	for line := range strings.SplitSeq(text, "\n") {
		m.sendLine(line)
	}
	m.write("")
	if t := m.tabs.now(); t != nil {
		t.log.tail()
	}
}

func (m *model) sendLine(line string) {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	t := m.tabs.now()
	switch {
	case strings.TrimSpace(line) == "":
	case word == "/help":
		m.help = true
	case word == "/search":
		m.startSearch(rest)
	case word == "/msg" && rest != "" && !strings.Contains(rest, " "):
		m.tabs.open(withUser(rest))
		m.show(m.tabs.find(withUser(rest)))
	case word == "/leave" && rest == "" && t != nil && t.direct:
		m.tabs.close(t.place)
		m.follow()
	case word == "/join" && m.tabs.in(inRoom(rest)):
		m.show(m.tabs.find(inRoom(rest)))
	case line[0] != '/' && t != nil && t.direct:
		m.emit(talk.Input{Text: "/msg " + t.nick() + " " + line})
	default:
		m.emit(talk.Input{Text: line})
	}
}

// log is the backlog that is shown, nil when there is none.
func (m *model) log() *backlog {
	if t := m.tabs.now(); t != nil {
		return t.log
	}
	return nil
}
