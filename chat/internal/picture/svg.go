package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// The picture's measures, in pixels.
const (
	cellWidth  = 8.4
	cellHeight = 18
	fontSize   = 14
	margin     = 12
	titleBar   = 30
)

// The colours of a terminal that says nothing about them.
const (
	foreground = "#d4d4d4"
	background = "#16181d"
	frame      = "#2a2d34"
)

// style is how a run of characters looks. Empty colours are the terminal's.
type style struct {
	fg, bg               string
	bold, faint, reverse bool
}

// svg draws what a terminal of this size gets.
func svg(text string, width, height int) []byte {
	var b bytes.Buffer
	w, h := float64(width)*cellWidth+2*margin, height*cellHeight+2*margin+titleBar
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="%d">`+"\n", w, h, fontSize)
	fmt.Fprintf(&b, `<title>kith chat</title>`+"\n")
	fmt.Fprintf(&b, `<rect width="%.0f" height="%d" rx="9" fill="%s"/>`+"\n", w, h, frame)
	fmt.Fprintf(&b, `<rect y="%d" width="%.0f" height="%d" rx="9" fill="%s"/>`+"\n", titleBar, w, h-titleBar, background)
	for i, colour := range []string{"#ff5f57", "#febc2e", "#28c840"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="%d" r="5.5" fill="%s"/>`+"\n", 18+i*19, titleBar/2, colour)
	}
	var st style
	for y, row := range strings.Split(text, "\n") {
		x := 0
		for row != "" {
			var run string
			if run, row = next(row, &st); run == "" {
				continue
			}
			cells := ansi.StringWidth(run)
			drawRun(&b, run, x, y, cells, st)
			x += cells
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// next cuts the next run of characters of one style off a row, and changes the style by what stands before it.
func next(row string, st *style) (run, rest string) {
	if !strings.HasPrefix(row, "\x1b[") {
		if i := strings.IndexByte(row, '\x1b'); i >= 0 {
			return row[:i], row[i:]
		}
		return row, ""
	}
	end := strings.IndexByte(row, 'm')
	if end < 0 {
		return "", ""
	}
	st.change(row[2:end])
	return "", row[end+1:]
}

// change takes the parameters of a sequence that sets the graphic rendition.
func (st *style) change(params string) {
	list := strings.Split(params, ";")
	number := func(i int) int {
		if i >= len(list) {
			return 0
		}
		n, _ := strconv.Atoi(list[i]) // empty is zero
		return n
	}
	for i := 0; i < len(list); i++ {
		switch n := number(i); {
		case n == 0:
			*st = style{}
		case n == 1:
			st.bold = true
		case n == 2:
			st.faint = true
		case n == 7:
			st.reverse = true
		case n == 22:
			st.bold, st.faint = false, false
		case n == 27:
			st.reverse = false
		case n == 38 && number(i+1) == 5:
			st.fg = palette(number(i + 2))
			i += 2
		case n == 48 && number(i+1) == 5:
			st.bg = palette(number(i + 2))
			i += 2
		case n == 39:
			st.fg = ""
		case n == 49:
			st.bg = ""
		}
	}
}

// palette is a colour of the 256.
func palette(n int) string {
	switch {
	case n < 16: // the terminal's own, which the screen does not use
		return foreground
	case n >= 232:
		grey := 8 + 10*(n-232)
		return fmt.Sprintf("#%02x%02x%02x", grey, grey, grey)
	}
	level := func(i int) int {
		if i == 0 {
			return 0
		}
		return 55 + 40*i
	}
	n -= 16
	return fmt.Sprintf("#%02x%02x%02x", level(n/36), level(n/6%6), level(n%6))
}

// drawRun draws characters of one style at their cells, whatever the width of the viewer's font.
func drawRun(b *bytes.Buffer, run string, x, y, cells int, st style) {
	fg, bg := st.fg, st.bg
	if st.reverse {
		fg, bg = orElse(bg, background), orElse(fg, foreground)
	}
	left, top := margin+float64(x)*cellWidth, titleBar+margin+y*cellHeight
	if bg != "" {
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", left, top, float64(cells)*cellWidth, cellHeight, bg)
	}
	// What stands far apart is drawn apart, since viewers run spaces together.
	for part := range strings.SplitSeq(run, "  ") {
		words := strings.TrimSpace(part)
		lead := len(part) - len(strings.TrimLeft(part, " "))
		if words != "" {
			drawWords(b, words, left+float64(lead)*cellWidth, top+cellHeight-5, orElse(fg, foreground), st)
		}
		left += float64(ansi.StringWidth(part)+2) * cellWidth
	}
}

func drawWords(b *bytes.Buffer, words string, left float64, base int, fill string, st style) {
	fmt.Fprintf(b, `<text x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs" fill="%s"`,
		left, base, float64(ansi.StringWidth(words))*cellWidth, fill)
	if st.bold {
		b.WriteString(` font-weight="bold"`)
	}
	if st.faint {
		b.WriteString(` opacity="0.6"`)
	}
	b.WriteString(">")
	_ = xml.EscapeText(b, []byte(words)) // a buffer takes everything
	b.WriteString("</text>\n")
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
