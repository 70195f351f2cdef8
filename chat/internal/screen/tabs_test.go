package screen

import (
	"fmt"
	"testing"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// TestTabsBound: strangers who write one after the other cost no more than the last conversations, and none that waits to be
// read while others do not.
func TestTabsBound(t *testing.T) {
	var ts tabs
	from := func(nick string) { ts.add(talk.Line{Kind: talk.Direct, Nick: nick, Text: "hello"}, "me") }
	ts.open(inRoom("lobby"))
	from("shown")
	ts.show(ts.find(withUser("shown")))
	from("read")
	ts.list[ts.find(withUser("read"))].read()
	for i := range 3 * maxDirect {
		from(fmt.Sprint("s", i))
		if i == maxDirect-2 && ts.find(withUser("read")) < 0 {
			t.Error("a conversation was dropped while there was room")
		}
		if i == maxDirect-1 && (ts.find(withUser("read")) >= 0 || ts.find(withUser("s0")) < 0) {
			t.Error("dropped was not the one that had been read")
		}
	}
	if got := len(ts.list); got != 2+maxDirect {
		t.Errorf("%d tabs", got)
	}
	if ts.now().name != "@shown" || ts.find(inRoom("lobby")) != 0 || ts.find(withUser(fmt.Sprint("s", 2*maxDirect-1))) >= 0 || ts.find(withUser(fmt.Sprint("s", 2*maxDirect))) < 0 {
		t.Error("dropped were not those that rested longest")
	}
}
