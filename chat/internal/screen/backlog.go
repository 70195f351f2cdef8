package screen

import (
	"slices"
	"strings"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

const (
	// maxBacklog is how many lines a room keeps. When it is full the oldest dropBacklog go at once.
	maxBacklog  = 110_000
	dropBacklog = 10_000
)

// backlog is the lines of one room and the place where its reader is. The place is a row of a line; everything above
// is found by walking up from there, so that no action costs more than the rows that it passes.
type backlog struct {
	lines []talk.Line
	// follow says that the newest line is at the bottom. Otherwise the bottom row is row end-1 of line last.
	follow    bool
	last, end int
	// marked is the line that a search found, -1 for none.
	marked int
	// fresh counts the lines that came while the reader was not at the bottom.
	fresh int
}

// layout says how a line becomes rows at a width.
type layout interface {
	rows(l talk.Line, marked bool) []string
}

func newBacklog() *backlog { return &backlog{follow: true, marked: -1} }

func (b *backlog) add(l talk.Line) {
	if len(b.lines) >= maxBacklog {
		b.lines = append(b.lines[:0:0], b.lines[dropBacklog:]...)
		b.last = max(0, b.last-dropBacklog)
		b.marked = max(-1, b.marked-dropBacklog)
	}
	b.lines = append(b.lines, l)
	if !b.follow {
		b.fresh++
	}
}

// prepend puts lines before all others, as many of the newest of them as there is room for. With show the reader is taken
// to them.
func (b *backlog) prepend(lay layout, height int, lines []talk.Line, show bool) {
	if over := len(b.lines) + len(lines) - maxBacklog; over > 0 {
		lines = lines[min(over, len(lines)):]
	}
	n := len(lines)
	if n == 0 {
		return
	}
	b.lines = append(slices.Clone(lines), b.lines...)
	b.last += n
	if b.marked >= 0 {
		b.marked += n
	}
	if show {
		b.place(lay, n-1, len(lay.rows(b.lines[n-1], false)))
		b.fill(lay, height)
	}
}

// view returns the rows that are visible at this height, from the top.
func (b *backlog) view(lay layout, height int) []string {
	if height <= 0 || len(b.lines) == 0 {
		return nil
	}
	i, end := b.bottom(lay)
	var up [][]string
	for have := 0; i >= 0 && have < height; i, end = i-1, -1 {
		rows := lay.rows(b.lines[i], i == b.marked)
		if end >= 0 {
			rows = rows[:min(end, len(rows))]
		}
		if over := have + len(rows) - height; over > 0 {
			rows = rows[over:]
		}
		up = append(up, rows)
		have += len(rows)
	}
	var out []string
	for i := len(up) - 1; i >= 0; i-- {
		out = append(out, up[i]...)
	}
	return out
}

// bottom is the line at the bottom, and how many of its rows are visible; -1 is all.
func (b *backlog) bottom(layout) (line, end int) {
	if b.follow {
		return len(b.lines) - 1, -1
	}
	return min(b.last, len(b.lines)-1), b.end
}

// up scrolls towards the past, not beyond the point where the first row is at the top.
func (b *backlog) up(lay layout, height, n int) {
	if len(b.lines) == 0 {
		return
	}
	i, end := b.bottom(lay)
	if end < 0 {
		end = len(lay.rows(b.lines[i], false))
	}
	for n > 0 {
		if end > n {
			end, n = end-n, 0
			break
		}
		if i == 0 {
			end = min(end, 1)
			break
		}
		n -= end
		i--
		end = len(lay.rows(b.lines[i], false))
	}
	b.place(lay, i, end)
	b.fill(lay, height)
}

// down scrolls towards the newest line, and follows once it is there.
func (b *backlog) down(lay layout, n int) {
	if b.follow || len(b.lines) == 0 {
		return
	}
	i, end := b.bottom(lay)
	for n > 0 {
		rows := len(lay.rows(b.lines[i], false))
		if rows-end >= n {
			end, n = end+n, 0
			break
		}
		if i == len(b.lines)-1 {
			end = rows
			break
		}
		n -= rows - end
		i, end = i+1, 0
	}
	b.place(lay, i, end)
}

// place moves the bottom to a row, and follows when that is the last.
func (b *backlog) place(lay layout, line, end int) {
	b.last, b.end = line, end
	if b.follow = line == len(b.lines)-1 && end >= len(lay.rows(b.lines[line], false)); b.follow {
		b.fresh = 0
	}
}

// fill moves the bottom down while there is room above the first row.
func (b *backlog) fill(lay layout, height int) {
	i, end := b.last, b.end
	if b.follow {
		return
	}
	have := end
	for i > 0 && have < height {
		i--
		have += len(lay.rows(b.lines[i], false))
	}
	if have < height {
		b.down(lay, height-have)
	}
}

// top goes to the first line, tail to the newest.
func (b *backlog) top(lay layout, height int) {
	if len(b.lines) > 0 {
		b.place(lay, 0, 1)
		b.fill(lay, height)
	}
}

func (b *backlog) tail() { b.follow, b.fresh = true, 0 }

// search looks for text from the marked line, or from the bottom, towards the past or, with older false, the present.
// It shows and marks the line it finds.
func (b *backlog) search(lay layout, height int, text string, older bool) bool {
	if text == "" || len(b.lines) == 0 {
		return false
	}
	step, i := 1, b.marked
	if older {
		step = -1
	}
	if i < 0 {
		i, _ = b.bottom(lay)
		i -= step
	}
	text = strings.ToLower(text)
	for i += step; 0 <= i && i < len(b.lines); i += step {
		l := b.lines[i]
		if !strings.Contains(strings.ToLower(l.Text), text) && !strings.Contains(strings.ToLower(l.Nick), text) {
			continue
		}
		b.marked = i
		b.place(lay, i, len(lay.rows(l, false)))
		b.down(lay, height/2)
		b.fill(lay, height)
		return true
	}
	return false
}

// unmark ends a search.
func (b *backlog) unmark() { b.marked = -1 }
