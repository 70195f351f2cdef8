package main

import (
	"fmt"
	"io"
	"sync"
)

// heldSize bounds what is held back, in bytes.
const heldSize = 64 << 10

// heldWriter holds back what is written while the chat has the terminal to itself. What does not fit is counted.
type heldWriter struct {
	w io.Writer

	mu      sync.Mutex // guards the fields below
	holding bool
	text    []byte
	dropped int
}

// Write implements io.Writer.
func (h *heldWriter) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.holding:
		return h.w.Write(p)
	case len(h.text)+len(p) > heldSize:
		h.dropped++
	default:
		h.text = append(h.text, p...)
	}
	return len(p), nil
}

// hold begins to hold back, release ends it and writes what came meanwhile.
func (h *heldWriter) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holding = true
}

func (h *heldWriter) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, _ = h.w.Write(h.text)
	if h.dropped > 0 {
		fmt.Fprintf(h.w, "%d more log lines were dropped\n", h.dropped)
	}
	h.holding, h.text, h.dropped = false, nil, 0
}
