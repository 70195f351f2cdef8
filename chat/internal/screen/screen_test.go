package screen

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

var update = flag.Bool("update", false, "write the screens that the tests see into testdata")

// desk is a model with its user and the talk played by a test.
type desk struct {
	t      testing.TB
	m      *model
	lines  []talk.Line
	past   []talk.ShowPast
	view   *talk.View
	events []talk.Event
	now    time.Time
}

func newDesk(t testing.TB, width, height int) *desk {
	d := &desk{t: t, now: time.Date(2026, 7, 1, 9, 30, 0, 0, time.UTC)}
	d.m = newModel(
		func(ev talk.Event) { d.events = append(d.events, ev) },
		func() news {
			n := news{d.lines, d.past, d.view}
			d.lines, d.past, d.view = nil, nil, nil
			return n
		})
	d.m.zone = time.UTC
	d.m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return d
}

// enter begins a chat as ann, with bob and cid in the lobby.
func (d *desk) enter() {
	d.show(
		talk.Line{Kind: talk.Connected, Nick: "ann", Node: "ann@127.0.0.1"},
		talk.Line{Kind: talk.Roster, Room: "lobby", Names: []string{"ann", "bob", "cid"}, Entered: true},
	)
	d.update(d.state())
}

func (d *desk) state() talk.View {
	return talk.View{
		Self: talk.User{ID: talk.ID{Node: "ann@127.0.0.1"}, Nick: "ann"},
		Room: "lobby", Rooms: []talk.RoomView{{Name: "lobby", Members: 3}}, Others: []talk.RoomView{{Name: "dev", Members: 2}},
		Users: []string{"ann", "bob", "bobby", "cid"},
		People: []talk.PersonView{
			{Nick: "ann", Node: "ann@127.0.0.1", Self: true},
			{Nick: "bob", Node: "n2@127.0.0.1"},
			{Nick: "cid", Node: "n2@127.0.0.1", Away: "lunch"},
		},
		Nodes: []talk.NodeView{
			{Name: "ann@127.0.0.1", Self: true},
			{Name: "n2@127.0.0.1", RTT: 430 * time.Microsecond},
			{Name: "n3@127.0.0.1", Gone: "connection_closed"},
		},
	}
}

func (d *desk) show(lines ...talk.Line) {
	for _, l := range lines {
		d.now = d.now.Add(7 * time.Second)
		l.Time = d.now
		d.lines = append(d.lines, l)
	}
	d.m.Update(pending{})
}

func (d *desk) update(v talk.View) {
	d.view = &v
	d.m.Update(pending{})
}

// say shows messages of somebody in a room.
func (d *desk) say(room, nick string, texts ...string) {
	for _, text := range texts {
		d.show(talk.Line{Kind: talk.Message, Room: room, Nick: nick, Text: text, Mine: nick == "ann"})
	}
}

// press presses keys: single characters, or names such as "enter" and "ctrl+f".
func (d *desk) press(keys ...string) {
	for _, k := range keys {
		d.m.Update(keyOf(k))
	}
}

// write types a text.
func (d *desk) write(text string) {
	for _, r := range text {
		d.m.Update(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

func keyOf(s string) tea.KeyPressMsg {
	var k tea.KeyPressMsg
	for {
		mod, rest, ok := strings.Cut(s, "+")
		if !ok {
			break
		}
		k.Mod |= map[string]tea.KeyMod{"ctrl": tea.ModCtrl, "alt": tea.ModAlt, "shift": tea.ModShift}[mod]
		s = rest
	}
	named := map[string]rune{
		"enter": tea.KeyEnter, "tab": tea.KeyTab, "esc": tea.KeyEscape, "up": tea.KeyUp, "down": tea.KeyDown,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace,
		"f1": tea.KeyF1, "left": tea.KeyLeft,
	}
	if code, ok := named[s]; ok {
		k.Code = code
	} else {
		k.Code = []rune(s)[0]
		if k.Mod == 0 {
			k.Text = s
		}
	}
	return k
}

// screen is what is drawn, without its styles.
func (d *desk) screen() string {
	rows := strings.Split(ansi.Strip(d.m.View().Content), "\n")
	for i, r := range rows {
		rows[i] = strings.TrimRight(r, " ")
	}
	return strings.Join(rows, "\n") + "\n"
}

// golden compares the screen with the one that is kept.
func (d *desk) golden(name string) {
	d.t.Helper()
	path := filepath.Join("testdata", name+".txt")
	got := d.screen()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			d.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		d.t.Fatal(err)
	}
	if got != string(want) {
		d.t.Errorf("%s: the screen is\n%s\nwant\n%s", name, got, want)
	}
}

// sent are the lines given to the talk since the last time.
func (d *desk) sent() (out []string) {
	for _, ev := range d.events {
		switch ev := ev.(type) {
		case talk.Input:
			out = append(out, ev.Text)
		case talk.Switch:
			out = append(out, "switch "+ev.Room)
		case talk.End:
			out = append(out, "end")
		}
	}
	d.events = nil
	return out
}

func (d *desk) wantSent(want ...string) {
	d.t.Helper()
	if got := d.sent(); fmt.Sprint(got) != fmt.Sprint(want) {
		d.t.Errorf("sent %q, want %q", got, want)
	}
}

func (d *desk) wantInput(want string) {
	d.t.Helper()
	if got := d.m.input.Value(); got != want {
		d.t.Errorf("the input is %q, want %q", got, want)
	}
}

func conversation(d *desk) {
	d.enter()
	d.say("lobby", "bob", "hello everybody", "is the build green?")
	d.say("lobby", "ann", "yes, since this morning")
	d.say("lobby", "cid", "ann: thank you! "+strings.Repeat("This is a long message that has to be wrapped. ", 3))
	d.say("lobby", "bob", "漢字 and 👩‍👩‍👧 and e\u0301 keep their width; \x1b[2J and \a are shown")
	d.show(
		talk.Line{Kind: talk.NodeIsDown, Node: "n3@127.0.0.1", Reason: "connection_closed"},
		talk.Line{Kind: talk.LeftRoom, Room: "lobby", Nick: "dan", Lost: true},
		talk.Line{Kind: talk.Problem, Text: "no such user: eve"},
	)
	d.say("dev", "dan", "in another room", "ann, look here")
	d.show(talk.Line{Kind: talk.Direct, Nick: "bob", Text: "just for you"})
	v := d.state()
	v.People[1].Typing = true
	d.update(v)
}

func TestScreens(t *testing.T) {
	for _, size := range []struct {
		name          string
		width, height int
	}{{"wide", 110, 24}, {"medium", 80, 24}, {"narrow", 40, 16}, {"tiny", 20, 8}, {"minimal", 5, 3}} {
		t.Run(size.name, func(t *testing.T) {
			d := newDesk(t, size.width, size.height)
			conversation(d)
			d.write("/msg bob draft")
			d.golden(size.name)
		})
	}
	t.Run("connecting", func(t *testing.T) { newDesk(t, 80, 10).golden("connecting") })
	t.Run("help", func(t *testing.T) {
		d := newDesk(t, 100, 32)
		conversation(d)
		d.press("f1")
		d.golden("help")
		d.press("x")
		d.wantInput("")
	})
	t.Run("search", func(t *testing.T) {
		d := newDesk(t, 90, 12)
		d.enter()
		for i := range 100 {
			d.say("lobby", "bob", fmt.Sprintf("message %d of many", i))
		}
		d.press("ctrl+f")
		d.write("e 42 o")
		d.golden("search")
		d.press("esc", "esc")
		if !d.m.log().follow {
			t.Error("Esc does not go to the newest message")
		}
	})
	t.Run("paste", func(t *testing.T) {
		d := newDesk(t, 80, 16)
		d.enter()
		d.m.Update(tea.PasteMsg{Content: "first line\r\nsecond line\n\nfourth line"})
		d.golden("paste")
		d.wantSent()
		d.press("enter")
		d.wantSent("first line", "second line", "fourth line")
	})
	t.Run("history", func(t *testing.T) {
		d := newDesk(t, 80, 12)
		d.enter()
		d.say("lobby", "bob", "the newest")
		page := func(from, to int, asked bool) {
			p := talk.ShowPast{Room: "lobby", Asked: asked}
			for i := from; i < to; i++ {
				at := time.Date(2026, 7, 1, 8, i, 0, 0, time.UTC)
				p.Lines = append(p.Lines, talk.Line{Kind: talk.Message, Time: at, Room: "lobby", Nick: "cid", Text: fmt.Sprint("said before ", i)})
			}
			d.past = append(d.past, p)
			d.m.Update(pending{})
		}
		page(40, 59, false) // as a newcomer: above what is shown, which stays where it is
		if !d.m.log().follow {
			t.Error("the reader was taken away from the newest message")
		}
		page(20, 40, true) // asked for: the reader is taken there
		d.golden("history")
		d.press("pgup", "pgup", "pgup", "pgup", "pgup")
		if n := len(d.events); n == 0 || d.events[n-1] != (talk.Older{}) {
			t.Error("who scrolls to the top does not ask for more")
		}
		d.press("esc")
		page(0, 1, false)
		if got := len(d.m.log().lines); got != 42 || !d.m.log().follow {
			t.Errorf("%d lines, following %v", got, d.m.log().follow)
		}
	})
	t.Run("crowd", func(t *testing.T) {
		d := newDesk(t, 100, 14)
		d.enter()
		v := d.state()
		for i := range 500 {
			v.People = append(v.People, talk.PersonView{Nick: fmt.Sprintf("user%03d", i), Node: "n2@127.0.0.1"})
		}
		d.update(v)
		d.golden("crowd")
	})
}

func TestKeys(t *testing.T) {
	t.Run("tab_completes", func(t *testing.T) {
		d := newDesk(t, 100, 24)
		d.enter()
		d.write("bo")
		d.press("tab")
		d.wantInput("bob: ")
		d.press("tab")
		d.wantInput("bobby: ")
		d.press("tab")
		d.wantInput("bob: ")
		d.write("hi ci")
		d.press("tab")
		d.wantInput("bob: hi cid ")
		d.press("ctrl+c")
		d.write("/jo")
		d.press("tab")
		d.wantInput("/join ")
		d.write("d")
		d.press("tab")
		d.wantInput("/join dev ")
		d.press("ctrl+c")
		d.write("nothing like xyz")
		d.press("tab")
		d.wantInput("nothing like xyz")
	})
	t.Run("history", func(t *testing.T) {
		d := newDesk(t, 100, 24)
		d.enter()
		for _, s := range []string{"one", "two"} {
			d.write(s)
			d.press("enter")
		}
		d.wantSent("one", "two")
		d.write("draft")
		d.press("up")
		d.wantInput("two")
		d.press("up", "up")
		d.wantInput("one")
		d.press("down", "down")
		d.wantInput("draft")
	})
	t.Run("editing", func(t *testing.T) {
		d := newDesk(t, 100, 24)
		d.enter()
		d.write("hello wrld")
		d.press("left", "left", "left")
		d.write("o")
		d.wantInput("hello world")
		d.press("alt+enter")
		d.wantInput("hello wo\nrld")
		d.wantSent()
		d.press("ctrl+c")
		d.wantInput("")
		d.wantSent()
		d.press("ctrl+c")
		d.wantSent("end")
	})
	t.Run("rooms", func(t *testing.T) {
		d := newDesk(t, 100, 24)
		conversation(d)
		d.write("draft")
		d.press("ctrl+n")
		d.wantSent("switch dev")
		d.wantInput("")
		if d.m.tabs.list[1].unread != 0 {
			t.Error("the room is shown and still unread")
		}
		d.press("ctrl+p")
		d.wantInput("draft")
		d.press("alt+3")
		d.wantInput("")
		d.write("hi")
		d.press("enter")
		d.wantSent("switch lobby", "/msg bob hi")
		d.write("/leave")
		d.press("enter")
		d.wantSent("switch dev")
		d.write("/msg cid")
		d.press("enter")
		if d.m.tabs.now().name != "@cid" {
			t.Errorf("the tab is %s", d.m.tabs.now().name)
		}
		d.wantSent()
		d.write("/join lobby")
		d.press("enter")
		d.wantSent("switch lobby")
		d.write("/join new")
		d.press("enter")
		d.wantSent("/join new")
		d.show(talk.Line{Kind: talk.Roster, Room: "new", Names: []string{"ann"}, Entered: true})
		if d.m.tabs.now().name != "new" {
			t.Errorf("the tab is %s", d.m.tabs.now().name)
		}
		d.show(talk.Line{Kind: talk.LeftRoom, Room: "new", Nick: "ann", Mine: true})
		if d.m.tabs.find(inRoom("new")) >= 0 {
			t.Error("the room that was left is still there")
		}
	})
	t.Run("last_room_left", func(t *testing.T) {
		d := newDesk(t, 100, 24)
		d.enter()
		leave := func(room string) { d.show(talk.Line{Kind: talk.LeftRoom, Room: room, Nick: "ann", Mine: true}) }
		enter := func(room string) {
			d.show(talk.Line{Kind: talk.Roster, Room: room, Names: []string{"ann"}, Entered: true})
		}
		leave("lobby")
		if s := d.screen(); !strings.Contains(s, "lobby  left") || !strings.Contains(s, "ann left lobby") {
			t.Errorf("it does not show that the room was left:\n%s", s)
		}
		d.write("/join lobby")
		d.press("enter")
		d.wantSent("/join lobby")
		enter("lobby")
		if s := d.screen(); !strings.Contains(s, "lobby  3 here") {
			t.Errorf("it does not show that the room was entered again:\n%s", s)
		}
		leave("lobby")
		d.sent()
		enter("dev")
		d.wantSent("switch dev")
		if got := d.m.tabs; len(got.list) != 1 || got.now().name != "dev" {
			t.Errorf("%d tabs, %s is shown", len(got.list), got.now().name)
		}
		d.write("hello")
		d.press("enter")
		d.wantSent("hello")
		leave("dev")
		d.show(talk.Line{Kind: talk.Direct, Nick: "bob", Text: "hi"})
		enter("lobby")
		if got := d.m.tabs; len(got.list) != 2 || got.now().name != "lobby" {
			t.Errorf("%d tabs, %s is shown", len(got.list), got.now().name)
		}
	})
	t.Run("conversations_have_no_past", func(t *testing.T) {
		d := newDesk(t, 100, 24)
		d.enter()
		d.press("pgup", "pgup", "pgup")
		if n := len(d.events); n == 0 || d.events[n-1] != (talk.Older{}) {
			t.Errorf("at the top of a room: %v", d.events)
		}
		d.write("/msg bob")
		d.press("enter")
		d.events = nil
		d.press("pgup", "pgup", "pgup")
		d.m.Update(tea.MouseWheelMsg{Button: tea.MouseWheelUp})
		if len(d.events) != 0 {
			t.Errorf("at the top of a conversation: %v", d.events)
		}
	})
	t.Run("room_joined_in_a_paste", func(t *testing.T) {
		d := newDesk(t, 100, 24)
		d.enter()
		d.m.Update(tea.PasteMsg{Content: "/join dev\nhello"})
		d.press("enter")
		d.wantSent("/join dev", "hello")
		d.show(talk.Line{Kind: talk.Roster, Room: "dev", Names: []string{"ann"}, Entered: true})
		v := d.state()
		v.Room = "dev"
		d.update(v)
		if got := d.m.tabs.now().name; got != "dev" {
			t.Errorf("the tab is %s, what is written goes to dev", got)
		}
		d.wantSent("switch dev") // whatever was asked for since
		d.show(talk.Line{Kind: talk.Roster, Room: "other", Names: []string{"bob"}})
		if got := d.m.tabs.now().name; got != "dev" {
			t.Errorf("the tab is %s, after a question who is in another room", got)
		}
	})
	t.Run("room_like_a_user", func(t *testing.T) {
		d := newDesk(t, 100, 24)
		d.show(talk.Line{Kind: talk.Roster, Room: "@bob", Names: []string{"ann"}, Entered: true})
		d.write("hi")
		d.press("enter")
		d.wantSent("hi")
		d.show(talk.Line{Kind: talk.Direct, Nick: "bob", Text: "hello"})
		if got := len(d.m.tabs.list); got != 2 {
			t.Errorf("%d tabs: the room and the conversation are one", got)
		}
		d.write("/msg bob")
		d.press("enter")
		d.write("hi")
		d.press("enter")
		d.wantSent("/msg bob hi")
	})
	t.Run("mouse", func(t *testing.T) {
		d := newDesk(t, 110, 24)
		conversation(d)
		d.screen()
		d.m.Update(tea.MouseClickMsg{X: 3, Y: 2})
		d.wantSent("switch dev")
		d.screen()
		d.m.Update(tea.MouseClickMsg{X: 90, Y: 3})
		d.wantInput("/msg bob ")
		for i := range 100 {
			d.say("dev", "dan", fmt.Sprint(i))
		}
		d.m.Update(tea.MouseWheelMsg{Button: tea.MouseWheelUp})
		if d.m.log().follow {
			t.Error("the wheel does not scroll")
		}
		d.m.Update(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
		if !d.m.log().follow {
			t.Error("the wheel does not scroll back")
		}
	})
	t.Run("clicks_beside_the_lists", func(t *testing.T) {
		d := newDesk(t, 110, 12)
		d.enter()
		v := d.state()
		for i := range 40 {
			v.Others = append(v.Others, talk.RoomView{Name: fmt.Sprintf("room%02d", i), Members: 1})
		}
		for i := range 10 {
			v.Nodes = append(v.Nodes, talk.NodeView{Name: fmt.Sprintf("m%d@127.0.0.1", i)})
		}
		d.update(v)
		d.screen()
		d.sent()
		for y := range 60 {
			if y <= d.m.logHeight() { // the nodes of the mesh are below the people
				d.m.Update(tea.MouseClickMsg{X: 105, Y: y})
			} else {
				d.m.Update(tea.MouseClickMsg{X: 3, Y: y})
			}
		}
		d.wantSent()
		d.wantInput("")
		d.m.Update(tea.MouseClickMsg{X: 3, Y: d.m.logHeight()})
		if len(d.sent()) != 1 {
			t.Error("a click on the last row of the rooms does nothing")
		}
	})
	t.Run("too_much_to_paste", func(t *testing.T) {
		d := newDesk(t, 100, 24)
		d.enter()
		d.write("draft")
		d.m.Update(tea.PasteMsg{Content: strings.Repeat("x\r\n", maxContent)})
		if got := d.m.input.Length(); got != len("draft") {
			t.Errorf("the input has %d characters", got)
		}
		if s := d.screen(); !strings.Contains(s, "too much to paste: 10001 lines, at most 10000") {
			t.Errorf("it does not say so:\n%s", s)
		}
	})
	t.Run("typing_is_told", func(t *testing.T) {
		d := newDesk(t, 110, 24)
		d.enter()
		d.write("/j")
		if len(d.events) != 0 {
			t.Error("a command counts as typing")
		}
		d.press("ctrl+c")
		d.write("h")
		if len(d.events) != 1 {
			t.Error("typing is not told")
		}
	})
}

// TestTerminalFails: a program that cannot have its terminal ends the chat and says why.
func TestTerminalFails(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	s := New(f, f)
	s.Read(t.Context(), func(ev talk.Event) error {
		if ev != (talk.End{}) {
			t.Errorf("got %v", ev)
		}
		return nil
	})
	if s.Close() == nil {
		t.Error("it does not say why")
	}
}

// TestAskedOnce: what was said before is asked for once, however often the wheel turns until the talk takes it.
func TestAskedOnce(t *testing.T) {
	s := &Screen{typed: make(chan struct{})}
	for _, ev := range []talk.Event{talk.Older{}, talk.Older{}, talk.Switch{Room: "dev"}, talk.Older{}, talk.Older{}} {
		s.emit(ev)
	}
	if len(s.events) != 3 {
		t.Errorf("%d events wait: %v", len(s.events), s.events)
	}
}
