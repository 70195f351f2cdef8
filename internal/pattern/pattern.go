// Package pattern matches names against patterns: * stands for any run of characters, none included, and ? for any one.
// Every other character stands for itself, also [ and /, which names of nodes and groups may hold.
package pattern

import "unicode/utf8"

// Match says whether the whole of name is what the pattern says. It takes time in proportion to the product of both
// lengths at most, and allocates nothing.
func Match(pattern, name string) bool {
	star, retry := -1, 0 // the last * and where its run would end next
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, n
			p++
			continue
		case p < len(pattern) && pattern[p] == '?':
			_, size := utf8.DecodeRuneInString(name[n:])
			p, n = p+1, n+size
			continue
		case p < len(pattern) && pattern[p] == name[n]:
			p, n = p+1, n+1
			continue
		case star < 0:
			return false
		}
		_, size := utf8.DecodeRuneInString(name[retry:])
		retry += size
		p, n = star+1, retry
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
