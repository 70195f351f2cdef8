package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestHeldWriter(t *testing.T) {
	var out bytes.Buffer
	h := &heldWriter{w: &out}
	write := func(s string) {
		if n, err := io.WriteString(h, s); n != len(s) || err != nil {
			t.Errorf("wrote %d: %v", n, err)
		}
	}
	write("before\n")
	h.hold()
	write("meanwhile\n")
	if got := out.String(); got != "before\n" {
		t.Errorf("%q gets through", got)
	}
	write(strings.Repeat("x", heldSize))
	write("small\n")
	h.release()
	write("after\n")
	if got := out.String(); got != "before\nmeanwhile\nsmall\n1 more log lines were dropped\nafter\n" {
		t.Errorf("%q", got)
	}
}
