package talk

import "time"

// A user may send sendRate messages a second, after a first sendBurst: what is typed or piped in beyond that waits. From
// one sender twice as many are shown, so that nobody who keeps to the rules is cut; beyond that they are counted only.
const (
	sendRate  = 1000
	sendBurst = 5000
	showRate  = 2 * sendRate
	showBurst = 2 * sendBurst
)

// bucket counts out what may pass: rate a second, and burst at once. The zero value is full.
type bucket struct {
	used float64
	last time.Time
}

// take says whether one more may pass.
func (b *bucket) take(now time.Time, rate, burst float64) bool {
	if b.drain(now, rate); b.used+1 > burst {
		return false
	}
	b.used++
	return true
}

// ready says when one may pass again: now or later.
func (b *bucket) ready(now time.Time, rate, burst float64) time.Time {
	b.drain(now, rate)
	if over := b.used + 1 - burst; over > 0 {
		return now.Add(time.Duration(over / rate * float64(time.Second)))
	}
	return now
}

func (b *bucket) drain(now time.Time, rate float64) {
	if d := now.Sub(b.last); d > 0 {
		b.used = max(0, b.used-d.Seconds()*rate)
		b.last = now
	}
}

// paced counts a message that this user sends, and makes the next wait when there are too many.
func (t *Talk) paced() {
	t.sent.take(t.now, sendRate, sendBurst+1)
	if next := t.sent.ready(t.now, sendRate, sendBurst); next.After(t.now) {
		if !t.slowed {
			t.problem("too fast: your messages leave at %d a second", sendRate)
		}
		t.slowed, t.pause = true, next
		t.at(next)
	} else if t.sent.used < sendBurst/2 {
		t.slowed = false
	}
}

// admitted says whether a message of a user may be shown. A flood is reported when it begins and when it ends.
func (t *Talk) admitted(id ID) bool {
	p := t.users[id]
	if p == nil || p.got.take(t.now, showRate, showBurst) {
		return true
	}
	if p.flood == 0 {
		t.problem("%s floods: more than %d messages a second are not shown", p.Nick, showRate)
		t.at(t.now.Add(time.Second))
	}
	p.flood++
	return false
}

// tickFloods reports what was not shown.
func (t *Talk) tickFloods() {
	for _, p := range t.users {
		if p.flood == 0 {
			continue
		}
		if p.got.ready(t.now, showRate, showBurst/2).After(t.now) {
			t.at(t.now.Add(time.Second))
			continue
		}
		t.problem("%d messages of %s were not shown", p.flood, p.Nick)
		p.flood = 0
	}
}
