// Command picture draws the chat for the README: the rules of package talk and the screen of package screen, with a
// conversation that is always the same, as an SVG. Run it in the module's folder after a change of how the chat looks:
//
//	go run ./chat/internal/picture
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("o", "docs/chat.svg", "the `file` to write")
	flag.Parse()
	if err := os.WriteFile(*out, draw(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// draw makes the picture.
func draw() []byte { return svg(scene(104, 21)) }
