package screen

import (
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// narrow is the width of the messages below which their time is left out.
const narrow = 36

// messages lays lines out at a width.
type messages struct {
	width  int
	styles *styles
	nick   string // the user's own, to see when it is mentioned
	zone   *time.Location
}

// rows implements layout. Every line has at least one row.
func (m messages) rows(l talk.Line, marked bool) []string {
	head, text, style := m.parts(l)
	indent := ansi.StringWidth(head)
	if indent > m.width/2 {
		indent = 2
	}
	stamp := ""
	if m.width >= narrow {
		stamp = l.Time.In(m.zone).Format("15:04 ")
		indent += len(stamp)
	}
	indent = max(0, min(indent, m.width-2))
	whole := stamp + head + talk.Escape(text)
	wrapped := wrap(whole, m.width)
	if len(wrapped) > 1 {
		// The first row is as wide as all, the others are indented.
		rest := strings.TrimPrefix(strings.TrimPrefix(whole, wrapped[0]), " ")
		wrapped = append(wrapped[:1], wrap(rest, m.width-indent)...)
	}
	for i, row := range wrapped {
		switch {
		case marked:
			row = m.styles.marked.Render(row)
		case i == 0:
			row = m.first(row, stamp, head, l, style)
		default:
			row = style(row)
		}
		if i > 0 {
			row = blank(indent) + row
		}
		wrapped[i] = row
	}
	return wrapped
}

// wrap breaks a text between words, or within those that are too long, into rows of at most this width.
func wrap(s string, width int) (rows []string) {
	for row := range strings.SplitSeq(ansi.Wrap(s, width, ""), "\n") {
		if ansi.StringWidth(row) <= width {
			rows = append(rows, row)
			continue
		}
		for part := range strings.SplitSeq(ansi.Hardwrap(row, width, true), "\n") {
			rows = append(rows, ansi.Truncate(part, width, ""))
		}
	}
	return rows
}

// first styles the first row: its time, who speaks, and what.
func (m messages) first(row, stamp, head string, l talk.Line, style func(string) string) string {
	rest, ok := strings.CutPrefix(row, stamp+head)
	if !ok || head == "" {
		if rest, ok := strings.CutPrefix(row, stamp); ok {
			return m.styles.faint.Render(stamp) + style(rest)
		}
		return style(row)
	}
	return m.styles.faint.Render(stamp) + m.styles.nick(l.Nick).Render(head) + style(rest)
}

// parts are who speaks, what, and how that looks.
func (m messages) parts(l talk.Line) (head, text string, style func(string) string) {
	plain := func(s string) string { return s }
	switch l.Kind {
	case talk.Message, talk.Direct:
		head, text = l.Nick+": ", l.Text
	case talk.DirectSent:
		head, text = m.nick+": ", l.Text
	case talk.ToAll:
		head, text = l.Nick+" to all: ", l.Text
	case talk.Problem:
		return "", l.Format(), func(s string) string { return m.styles.problem.Render(s) }
	default:
		return "", l.Format(), func(s string) string { return m.styles.faint.Render(s) }
	}
	if !l.Mine && mentions(l.Text, m.nick) {
		return head, text, func(s string) string { return m.styles.mention.Render(s) }
	}
	return head, text, plain
}

// mentions says whether a text names somebody, as a word of its own.
func mentions(text, nick string) bool {
	if nick == "" {
		return false
	}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t,.;:!?()'\"@", r) }) {
		if strings.EqualFold(word, nick) {
			return true
		}
	}
	return false
}
