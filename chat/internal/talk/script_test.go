package talk

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the scripts print into their files")

// TestTalk runs the scripts of testdata. A script is events, each on a line that begins with ">", and under each the
// actions that it leads to. A user is NICK@NODE, or NICK for NICK@NICK; "+200ms" lets time pass.
func TestTalk(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(want))
			if got == string(want) {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
		})
	}
}

var epoch = time.Unix(1_000_000_000, 0)

// runScript runs the events of a script and returns it with the actions that they led to.
func runScript(t *testing.T, script string) string {
	var out strings.Builder
	talk := New(Config{History: strings.HasPrefix(script, "# With a history"), Self: User{ID: id("me"), Nick: "me", Since: since(0)}, Room: "lobby", Now: epoch})
	now := epoch
	sc := bufio.NewScanner(strings.NewReader(script))
	for sc.Scan() {
		line := sc.Text()
		if strings.HasPrefix(line, "#") || line == "" {
			fmt.Fprintln(&out, line)
		}
		if !strings.HasPrefix(line, "> ") {
			continue
		}
		fmt.Fprintln(&out, line)
		if after, ok := strings.CutPrefix(line, "> +"); ok {
			d, err := time.ParseDuration(after)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			for end := now.Add(d); ; {
				wake := talk.Wake()
				if wake.IsZero() || wake.After(end) {
					now = end
					break
				}
				now = wake
				printActions(&out, talk.Handle(now, Tick{}))
			}
			continue
		}
		word, rest, _ := strings.Cut(line[2:], " ")
		switch word {
		case "flood": // many messages of one user; only what is not a message is printed
			nick, n := floodOf(rest)
			for range n {
				printActions(&out, withoutMessages(talk.Handle(now, Said{From: user(nick), Room: "lobby", Text: "x"})))
			}
		case "spam": // many messages of this user
			_, n := floodOf("me " + rest)
			for range n {
				printActions(&out, withoutMessages(talk.Handle(now, Input{Text: "x"})))
			}
			fmt.Fprintf(&out, "  ready %v\n", talk.Ready())
		default:
			printActions(&out, talk.Handle(now, parseEvent(t, line[2:])))
		}
	}
	return out.String()
}

func floodOf(s string) (nick string, n int) {
	nick, count, _ := strings.Cut(s, " ")
	n, _ = strconv.Atoi(count)
	return nick, n
}

// withoutMessages leaves out what a flood is made of.
func withoutMessages(actions []Action) (out []Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case Say:
		case Show:
			if a.Line.Kind != Message {
				out = append(out, a)
			}
		default:
			out = append(out, a)
		}
	}
	return out
}

func printActions(out *strings.Builder, actions []Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case Show:
			fmt.Fprintln(out, a.Line.Format())
		case Announce:
			fmt.Fprintf(out, "  announce %s\n", a.User.Nick)
		case Tell:
			fmt.Fprintf(out, "  tell %s %d %q\n", a.To.Node, a.Seq, a.Text)
		case Confirm:
			fmt.Fprintf(out, "  confirm %s %d\n", a.To.Node, a.Seq)
		case ShowPast:
			for _, l := range a.Lines {
				fmt.Fprintf(out, "%s %s\n", l.Time.UTC().Format("15:04:05"), l.Format())
			}
		case Recall:
			fmt.Fprintf(out, "  recall %+v\n", a)
		case Open:
			fmt.Fprintf(out, "  open %s after %d\n", a.Nick, a.After)
		case Empty:
			fmt.Fprintf(out, "  empty %s up to %d\n", a.Nick, a.UpTo)
		case Store:
			fmt.Fprintf(out, "  store %s %d %q by %s met %v\n", a.Nick, a.Seq, a.Text, a.By.UTC().Format("15:04:05"), a.Met)
		case Poke:
			fmt.Fprintf(out, "  poke %s\n", a.To.Node)
		case Claim:
			fmt.Fprintf(out, "  claim %s\n", a.Nick)
		default:
			fmt.Fprintf(out, "  %s %q\n", strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", a), "talk.")), fmt.Sprint(a))
		}
	}
}

// id is the process of a user: "NICK" or "NICK@NODE", whose node is all that counts.
func id(s string) ID {
	_, node, ok := strings.Cut(s, "@")
	if !ok {
		node = s
	}
	num := uint64(0)
	for _, c := range s {
		num = num*31 + uint64(c)
	}
	if s == "me" || !ok {
		num = 1
	}
	return ID{Node: node, Incarnation: 1, Num: num}
}

// since is a version that is this many seconds behind that of the user's own nick.
func since(seconds int) uint64 { return uint64(1_000_000 + seconds) }

// user parses NICK[@NODE][:SINCE][:rREV]: since in seconds after the user's own nick.
func user(s string) User {
	parts := strings.Split(s, ":")
	nick, _, _ := strings.Cut(parts[0], "@")
	u := User{ID: id(parts[0]), Nick: nick, Since: since(-3600)}
	for _, p := range parts[1:] {
		if rev, ok := strings.CutPrefix(p, "r"); ok {
			n, _ := strconv.Atoi(rev)
			u.Rev = uint32(n)
		} else if n, err := strconv.Atoi(p); err == nil {
			u.Since = since(n)
		} else if nick, ok := strings.CutPrefix(p, "="); ok {
			u.Nick = nick
		}
	}
	return u
}

func users(s []string) (out []User) {
	for _, x := range s {
		out = append(out, user(x))
	}
	return out
}

func ids(s []string) []ID {
	var out []ID
	for _, x := range s {
		out = append(out, user(x).ID)
	}
	return out
}

// kept parses PLACE:NICK:SEQ:TEXT, a message that was kept, and returns its place too.
func kept(room, s string) (Past, uint64) {
	parts := strings.SplitN(s, ":", 4)
	place, _ := strconv.Atoi(parts[0])
	seq, _ := strconv.Atoi(parts[2])
	said := Said{From: user(parts[1]), Room: room, Text: parts[3], Seq: uint64(seq)}
	return Past{Said: said, At: epoch.Add(time.Duration(place-1000) * time.Second)}, uint64(place)
}

// garbage is the place of PLACE:bad, a record that is no message, and zero for all else.
func garbage(s string) uint64 {
	digits, ok := strings.CutSuffix(s, ":bad")
	if !ok {
		return 0
	}
	place, _ := strconv.ParseUint(digits, 10, 64)
	return place
}

// parseEvent parses "word arguments".
func parseEvent(t *testing.T, s string) Event {
	t.Helper()
	word, rest, _ := strings.Cut(s, " ")
	args := strings.Fields(rest)
	switch word {
	case "opened":
		ev := Opened{Groups: map[string][]ID{}}
		for _, a := range args {
			name, list, _ := strings.Cut(a, "=")
			switch names := strings.Split(list, ","); name {
			case "nodes":
				ev.Nodes = names
			case "users":
				ev.Users = users(names)
			default:
				ev.Groups[name] = ids(names)
			}
		}
		return ev
	case "resynced":
		ev := Resynced{Groups: map[string][]ID{}}
		for _, a := range args {
			name, list, _ := strings.Cut(a, "=")
			if names := strings.Split(list, ","); name == "users" {
				ev.Users = users(names)
			} else {
				ev.Groups[name] = ids(names)
			}
		}
		return ev
	case "recalled": // ROOM COUNT [again] PLACE:NICK:SEQ:TEXT or PLACE:bad …; or "none", or "failed"
		n, _ := strconv.Atoi(args[1])
		ev := Recalled{Recall: Recall{Room: args[0], Count: n}}
		for _, a := range args[2:] {
			switch a {
			case "again":
				ev.Again = true
			case "none":
				ev.None = true
			case "failed":
				ev.Failed = "the store nodes did not answer in time"
			default:
				place := garbage(a)
				if place == 0 {
					var p Past
					p, place = kept(args[0], a)
					ev.Past = append(ev.Past, p)
				}
				ev.Read++
				ev.Last = place
				if ev.First == 0 {
					ev.First = place
				}
			}
		}
		return ev
	case "boxed": // [for=NICK] PLACE:NICK:SEQ:TEXT …
		ev := Boxed{Nick: "me"}
		for _, a := range args {
			if nick, ok := strings.CutPrefix(a, "for="); ok {
				ev.Nick = nick
				continue
			}
			p, place := kept("", a)
			ev.Past, ev.Last = append(ev.Past, p), place
		}
		return ev
	case "boxfailed":
		return BoxFailed{Nick: "me", None: rest == "none"}
	case "stored":
		seq, _ := strconv.Atoi(args[0])
		return Stored{uint64(seq)}
	case "unknown":
		seq, _ := strconv.Atoi(args[0])
		return Unknown{uint64(seq)}
	case "kept":
		return Kept{}
	case "mail":
		return Mail{}
	case "nicklost":
		return NickLost{args[0], args[1]}
	case "claimed":
		return Claimed{args[0], since(5)}
	case "taken":
		return NotClaimed{args[0], true}
	case "notclaimed":
		return NotClaimed{args[0], false}
	case "in":
		if unquoted, err := strconv.Unquote(rest); err == nil {
			rest = unquoted
		}
		return Input{rest}
	case "older":
		return Older{}
	case "key":
		return Keystroke{}
	case "typing":
		return Typing{From: user(args[0]).ID, Room: args[1]}
	case "toolong":
		n, _ := strconv.Atoi(rest)
		return TooLong{n}
	case "end":
		return End{}
	case "nodeup":
		return NodeUp{args[0]}
	case "nodedown":
		return NodeDown{args[0], args[1]}
	case "joined":
		return Joined{args[0], ids(args[1:])}
	case "left":
		return Left{Group: args[0], IDs: ids(args[1:])}
	case "lost":
		return Left{Group: args[0], IDs: ids(args[1:]), Lost: true}
	case "came":
		return Came{users(args)}
	case "changed":
		return Changed{users(args)}
	case "went":
		return Went{IDs: ids(args)}
	case "gone":
		return Went{IDs: ids(args), Lost: true}
	case "said":
		room, text, _ := strings.Cut(strings.TrimPrefix(rest, args[0]+" "), " ")
		if unquoted, err := strconv.Unquote(text); err == nil {
			text = unquoted
		}
		if room == "all" {
			room = ""
		}
		seq := uint64(0)
		if n, after, ok := strings.Cut(text, "#"); ok { // "SEQ#text"
			if v, err := strconv.Atoi(n); err == nil {
				seq, text = uint64(v), after
			}
		}
		return Said{From: user(args[0]), Room: room, Text: text, Seq: seq}
	case "told":
		seq, _ := strconv.Atoi(args[1])
		return Told{From: user(args[0]), Seq: uint64(seq), Text: args[2]}
	case "confirmed":
		seq, _ := strconv.Atoi(args[0])
		return Confirmed{uint64(seq)}
	case "undelivered":
		seq, _ := strconv.Atoi(args[0])
		return Undelivered{uint64(seq), strings.Join(args[1:], " ")}
	}
	t.Fatalf("unknown event %q", s)
	return nil
}
