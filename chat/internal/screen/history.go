package screen

// maxHistory bounds the lines that can be called back.
const maxHistory = 500

// history is what was written before. Walking up from a draft keeps it, so that walking down brings it back.
type history struct {
	lines []string
	at    int // len(lines) is the draft
	draft string
}

func (h *history) add(line string) {
	if n := len(h.lines); n == 0 || h.lines[n-1] != line {
		h.lines = append(h.lines, line)
	}
	if over := len(h.lines) - maxHistory; over > 0 {
		h.lines = append(h.lines[:0:0], h.lines[over:]...)
	}
	h.at, h.draft = len(h.lines), ""
}

// move goes n lines towards the past, or with a negative n back; false when there is nothing.
func (h *history) move(n int, now string) (string, bool) {
	to := h.at - n
	if to < 0 || to > len(h.lines) || to == h.at {
		return "", false
	}
	if h.at == len(h.lines) {
		h.draft = now
	}
	if h.at = to; to == len(h.lines) {
		return h.draft, true
	}
	return h.lines[to], true
}
