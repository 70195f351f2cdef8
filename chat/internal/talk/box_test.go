package talk

import "testing"

// TestMailIsLimited: whoever says without end that something waits has the box read once, and then once more.
func TestMailIsLimited(t *testing.T) {
	talk := New(Config{History: true, Self: User{ID: id("me"), Nick: "me", Since: since(0)}, Room: "lobby", Now: epoch})
	opens := 0
	handle := func(ev Event) {
		for _, a := range talk.Handle(epoch, ev) {
			if _, ok := a.(Open); ok {
				opens++
			}
		}
	}
	handle(Opened{})
	handle(Joined{Group: "lobby", IDs: []ID{id("me")}})
	for range 1000 {
		handle(Mail{})
	}
	if opens != 1 {
		t.Errorf("the box was opened %d times before there was an answer", opens)
	}
	handle(Boxed{Nick: "me"})
	handle(Boxed{Nick: "me"})
	if opens != 2 {
		t.Errorf("the box was opened %d times", opens)
	}
}
