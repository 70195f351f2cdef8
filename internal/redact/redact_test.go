package redact

import (
	"strings"
	"testing"
)

func TestURL(t *testing.T) {
	for s, want := range map[string]string{
		"nats://h:1": "nats://h:1", "h:1": "h:1", "nats://u:hush@h:1": "nats://(hidden)@h:1", "u:hush@h:1": "(hidden)@h:1",
		"nats://u:hu%zzsh@h": "nats://(hidden)@h", "nats://u:hu@s/h\n@h": "nats://(hidden)@h",
		"nats://u:hush@a,tls://u:hush@b": "nats://(hidden)@b", "http//u:hush@h": "(hidden)@h",
	} {
		if got := URL(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for _, text := range []string{`contains "nats://u:hush@h", which is no URL`, `contains "u:hush@h", which has the port "hush@h"`} {
		if got := Quoted(text); strings.Contains(got, "hush") || !strings.HasPrefix(got, "contains ") {
			t.Errorf("got %q", got)
		}
	}
	if got := URLs("a@h and b@h"); got != "a@h and b@h" {
		t.Errorf("got %q", got)
	}
}
