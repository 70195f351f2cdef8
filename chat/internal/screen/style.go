package screen

import (
	"hash/fnv"
	"image/color"

	"charm.land/lipgloss/v2"
)

// styles are the looks of everything, for a dark or a light background. Without colours the bold, faint and reverse
// ones still tell things apart.
type styles struct {
	title, status, rule  lipgloss.Style
	faint, bold, problem lipgloss.Style
	current, unread      lipgloss.Style
	heading, marked      lipgloss.Style
	mention              lipgloss.Style
	good, bad            lipgloss.Style
	nicks                []lipgloss.Style
}

// The colours of nicks: 256-colour numbers that read well and differ.
var (
	nicksOnDark  = []string{"39", "42", "45", "75", "78", "111", "114", "141", "147", "172", "175", "179", "203", "209", "213", "220"}
	nicksOnLight = []string{"20", "22", "25", "28", "30", "54", "58", "88", "90", "94", "124", "126", "130", "161", "166", "19"}
)

func newStyles(dark bool) styles {
	pick := lipgloss.LightDark(dark)
	of := func(light, dark string) color.Color { return pick(lipgloss.Color(light), lipgloss.Color(dark)) }
	plain := lipgloss.NewStyle()
	s := styles{
		title:   plain.Bold(true).Foreground(of("231", "231")).Background(of("25", "24")),
		status:  plain.Foreground(of("240", "245")),
		rule:    plain.Foreground(of("250", "238")),
		faint:   plain.Foreground(of("244", "243")),
		bold:    plain.Bold(true),
		problem: plain.Foreground(of("160", "203")),
		current: plain.Reverse(true),
		unread:  plain.Bold(true).Foreground(of("130", "220")),
		heading: plain.Bold(true).Foreground(of("240", "250")),
		marked:  plain.Reverse(true),
		mention: plain.Bold(true).Foreground(of("130", "220")),
		good:    plain.Foreground(of("28", "78")),
		bad:     plain.Foreground(of("160", "203")),
	}
	names := nicksOnLight
	if dark {
		names = nicksOnDark
	}
	for _, n := range names {
		s.nicks = append(s.nicks, plain.Bold(true).Foreground(lipgloss.Color(n)))
	}
	return s
}

// nick is the style of a nick: the same everywhere and every time.
func (s *styles) nick(nick string) lipgloss.Style {
	h := fnv.New32a()
	_, _ = h.Write([]byte(nick))
	return s.nicks[h.Sum32()%uint32(len(s.nicks))]
}
