// Package nearest finds what somebody who mistyped a word may have meant. It knows no particular words.
package nearest

import "slices"

// Word returns the candidate nearest to word, and whether one is near enough to be worth a question: one slip of the
// finger (a wrong, missing, extra or swapped character) in words of up to four characters, two in longer ones. Of
// equally near candidates the first is taken.
func Word(word string, candidates []string) (string, bool) {
	limit := 2
	if len(word) <= 4 {
		limit = 1
	}
	best, found := "", false
	for _, c := range candidates {
		if d := distance(word, c); d <= limit {
			best, found, limit = c, true, d-1
		}
	}
	return best, found
}

// distance counts the slips between a and b: insertions, deletions, substitutions and swaps of two neighbours.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = slices.Min([]int{last[j] + 1, row[j-1] + 1, last[j-1] + cost})
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
