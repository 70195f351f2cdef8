package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// TestPicture: the picture in docs is the one that is drawn now, every time, and it is well-formed.
func TestPicture(t *testing.T) {
	got := draw()
	if !bytes.Equal(got, draw()) {
		t.Fatal("two pictures differ")
	}
	for dec := xml.NewDecoder(bytes.NewReader(got)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"carol is typing", "@carol", "connection_closed", `\x1b[2J`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the picture does not show %q", want)
		}
	}
	kept, err := os.ReadFile("../../../docs/chat.svg")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, kept) {
		t.Error("docs/chat.svg is out of date: go run ./chat/internal/picture")
	}
}
