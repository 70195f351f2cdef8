package pg

import "strings"

// trie finds the patterns that match a name, token by token. It is not safe for concurrent changes.
type trie struct {
	root level
	size int
}

// level is a position after some tokens.
type level struct {
	next map[string]*level // a literal token; "*" is the wildcard
	here *group            // a pattern that ends here
	tail *group            // a pattern that ends here with ">"
}

func (l *level) empty() bool { return len(l.next) == 0 && l.here == nil && l.tail == nil }

// add puts a pattern in.
func (t *trie) add(g *group) {
	t.size++
	l := &t.root
	rest, more := g.name, true
	for more {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		if !more && token == ">" {
			l.tail = g
			return
		}
		if l.next == nil {
			l.next = make(map[string]*level)
		}
		n := l.next[token]
		if n == nil {
			n = &level{}
			l.next[strings.Clone(token)] = n
		}
		l = n
	}
	l.here = g
}

// remove takes a pattern out, and with it the levels that nothing else needs.
func (t *trie) remove(g *group) {
	t.size--
	t.root.remove(g.name)
}

func (l *level) remove(rest string) {
	token, after, more := strings.Cut(rest, ".")
	if !more && token == ">" {
		l.tail = nil
		return
	}
	n := l.next[token]
	if n == nil {
		return
	}
	if more {
		n.remove(after)
	} else {
		n.here = nil
	}
	if n.empty() {
		delete(l.next, token)
	}
}

// match calls f for each pattern that matches a name.
func (t *trie) match(name string, f func(g *group)) {
	if t.size > 0 {
		t.root.match(name, f)
	}
}

func (l *level) match(rest string, f func(g *group)) {
	if l.tail != nil {
		f(l.tail)
	}
	token, after, more := strings.Cut(rest, ".")
	if n := l.next[token]; n != nil && token != "*" {
		n.step(after, more, f)
	}
	if n := l.next["*"]; n != nil {
		n.step(after, more, f)
	}
}

func (l *level) step(rest string, more bool, f func(g *group)) {
	if more {
		l.match(rest, f)
	} else if l.here != nil {
		f(l.here)
	}
}
