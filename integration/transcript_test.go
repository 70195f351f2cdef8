package integration

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// transcript keeps the lines that a process writes, with their times, and wakes those who wait for one.
type transcript struct {
	mu     sync.Mutex // guards the fields below
	lines  []entry
	ended  bool
	change chan struct{} // closed and replaced when the fields above change
}

type entry struct {
	text string
	at   time.Time
}

func newTranscript() *transcript { return &transcript{change: make(chan struct{})} }

// read takes lines until r ends.
func (tr *transcript) read(r io.Reader) {
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadString('\n')
		tr.mu.Lock()
		if line != "" {
			tr.lines = append(tr.lines, entry{strings.TrimSuffix(line, "\n"), time.Now()})
		}
		tr.ended = err != nil
		close(tr.change)
		tr.change = make(chan struct{})
		tr.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// find returns the position and the time of the first line from a position on that fits. It waits for it until the
// deadline or the end of the output.
func (tr *transcript) find(from int, fits func(string) bool, deadline time.Time) (int, entry, bool) {
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	for {
		tr.mu.Lock()
		lines, ended, change := tr.lines, tr.ended, tr.change
		tr.mu.Unlock()
		for ; from < len(lines); from++ {
			if fits(lines[from].text) {
				return from, lines[from], true
			}
		}
		if ended {
			return 0, entry{}, false
		}
		select {
		case <-change:
		case <-timeout.C:
			return 0, entry{}, false
		}
	}
}

// all returns the lines so far.
func (tr *transcript) all() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	out := make([]string, len(tr.lines))
	for i, e := range tr.lines {
		out[i] = e.text
	}
	return out
}

// len is the number of lines so far.
func (tr *transcript) len() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.lines)
}

// print writes the lines with their times after start.
func (tr *transcript) print(b *strings.Builder, label string, start time.Time) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, e := range tr.lines {
		fmt.Fprintf(b, "%8.3fs %s %s\n", e.at.Sub(start).Seconds(), label, e.text)
	}
}
