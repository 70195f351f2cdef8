package talk

import (
	"strings"
)

// command is one of the words that begin with a slash.
type command struct {
	name  string
	usage string
	// min and max bound the number of arguments; text makes all that follows the first min-1 words one argument.
	min, max int
	text     bool
	run      func(t *Talk, args []string)
}

// commands are in the order in which /help lists them.
func commands() []command {
	return []command{
		{name: "join", usage: "/join ROOM", min: 1, max: 1, run: func(t *Talk, a []string) { t.enter(a[0]) }},
		{name: "leave", usage: "/leave [ROOM]", max: 1, run: (*Talk).leaveCommand},
		{name: "msg", usage: "/msg NICK TEXT", min: 2, max: 2, text: true, run: func(t *Talk, a []string) { t.tell(a[0], a[1]) }},
		{name: "all", usage: "/all TEXT", min: 1, max: 1, text: true, run: func(t *Talk, a []string) { t.say("", a[0]) }},
		{name: "who", usage: "/who [ROOM]", max: 1, run: (*Talk).whoCommand},
		{name: "users", usage: "/users", run: (*Talk).usersCommand},
		{name: "rooms", usage: "/rooms", run: (*Talk).roomsCommand},
		{name: "nodes", usage: "/nodes", run: (*Talk).nodesCommand},
		{name: "history", usage: "/history [N]", max: 1, run: (*Talk).historyCommand},
		{name: "away", usage: "/away [TEXT]", max: 1, text: true, run: (*Talk).awayCommand},
		{name: "back", usage: "/back", run: (*Talk).backCommand},
		{name: "help", usage: "/help", run: (*Talk).helpCommand},
		{name: "quit", usage: "/quit", run: func(t *Talk, _ []string) { t.end() }},
	}
}

// Commands are the usage lines of all commands, for completion and help.
func Commands() []string {
	var out []string
	for _, c := range commands() {
		out = append(out, c.usage)
	}
	return out
}

// split cuts what follows a command's name into its arguments, and says whether they fit.
func (c command) split(rest string) ([]string, bool) {
	if !c.text {
		args := strings.Fields(rest)
		return args, c.min <= len(args) && len(args) <= c.max
	}
	var args []string
	for rest = trimSpace(rest); len(args) < c.min-1; {
		word, after := cutWord(rest)
		if word == "" {
			return nil, false
		}
		args, rest = append(args, word), after
	}
	if strings.TrimSpace(rest) == "" {
		return args, len(args) >= c.min
	}
	return append(args, rest), true
}

// cutWord cuts the first word off, and the space behind it.
func cutWord(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], trimSpace(s[i:])
}

func trimSpace(s string) string { return strings.TrimLeft(s, " \t") }

// input takes a line that the user typed.
func (t *Talk) input(line string) {
	line = validText(strings.TrimRight(line, "\r\n"))
	switch {
	case t.phase == ending || strings.TrimSpace(line) == "":
		return
	case line[0] != '/':
		t.sayHere(line)
		return
	}
	name, rest := cutWord(line[1:])
	for _, c := range t.commands {
		if c.name != name {
			continue
		}
		if args, ok := c.split(rest); ok {
			c.run(t, args)
		} else {
			t.problem("usage: %s", c.usage)
		}
		return
	}
	t.problem("unknown command /%s: /help lists them", short(name))
}

// short keeps a word that is quoted in an error within bounds.
func short(s string) string {
	if r := []rune(s); len(r) > MaxName {
		return string(r[:MaxName]) + "…"
	}
	return s
}
