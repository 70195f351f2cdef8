package screen

import (
	"slices"
	"strings"
)

// completion walks through what a word can become, one Tab at a time.
type completion struct {
	before  string   // the text in front of the word
	after   string   // and behind the cursor
	options []string // with what belongs behind each
	at      int
}

// words are what can be completed.
type words struct {
	commands, nicks, rooms []string
}

// complete starts a completion of the word in front of the cursor. Nicks get a colon at the beginning of a message.
func complete(before, after string, w words) *completion {
	start := strings.LastIndexAny(before, " \n") + 1
	word := before[start:]
	if word == "" {
		return nil
	}
	list, suffix := w.nicks, " "
	line := before[strings.LastIndexByte(before, '\n')+1:]
	command, _, inArgument := strings.Cut(line, " ")
	switch {
	case strings.HasPrefix(line, "/") && !inArgument:
		list = w.commands
	case slices.Contains([]string{"/join", "/who", "/leave"}, command) && inArgument:
		list = w.rooms
	case start == 0 || before[start-1] == '\n':
		suffix = ": "
	}
	c := &completion{before: before[:start], after: after, at: -1}
	for _, option := range list {
		if len(option) >= len(word) && strings.EqualFold(option[:len(word)], word) {
			c.options = append(c.options, option+suffix)
		}
	}
	slices.Sort(c.options)
	c.options = slices.Compact(c.options)
	if len(c.options) == 0 {
		return nil
	}
	return c
}

// next is the text with the next option in place, or with the one before, and the part of it in front of the cursor.
func (c *completion) next(step int) (text, before string) {
	c.at = (c.at + step + len(c.options)) % len(c.options)
	if c.at < 0 {
		c.at = 0
	}
	before = c.before + c.options[c.at]
	return before + c.after, before
}
