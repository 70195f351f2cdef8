package main

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kith-mesh/kith/config"
)

// print writes a result to stdout: as one JSON document, or as lines.
func (a *app) print(cfg config.Config, result any, lines func() string) error {
	if cfg.Output == config.OutputJSON {
		enc := json.NewEncoder(a.stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(result)
	}
	_, err := io.WriteString(a.stdout, lines())
	return err
}

// printList prints one line for each item.
func printList[T any](a *app, cfg config.Config, list []T, line func(T) string) error {
	if list == nil {
		list = []T{} // an empty JSON array, not null
	}
	return a.print(cfg, list, func() string {
		var b strings.Builder
		for _, item := range list {
			b.WriteString(line(item))
			b.WriteByte('\n')
		}
		return b.String()
	})
}

// harmless is a text of any bytes, such as what a function of another node says, without what would reach into the terminal.
func harmless(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return text
	}
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// shown is a name of any bytes as one harmless word of a line: itself, or quoted as in Go where it would break the line
// or reach into the terminal.
func shown(name string) string {
	bad := func(r rune) bool { return !unicode.IsPrint(r) }
	if name == "" || !utf8.ValidString(name) || strings.IndexFunc(name, bad) >= 0 {
		return strconv.Quote(name)
	}
	return name
}
