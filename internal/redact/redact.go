// Package redact takes user names and passwords out of addresses that are to be printed, also out of those that nobody can
// parse: an error about a bad URL is where they show most often.
package redact

import "regexp"

// Hidden stands where the user and the password were.
const Hidden = "(hidden)"

// The last @ counts: a password may hold others, and what is hidden too much does no harm.
var (
	inURL    = regexp.MustCompile(`(?s)://.*@`)
	anywhere = regexp.MustCompile(`(?s)^.*@`)
	inQuotes = regexp.MustCompile(`(?s)".*@`)
)

// URL is s without user and password, whether or not it has a scheme.
func URL(s string) string {
	if inURL.MatchString(s) {
		return inURL.ReplaceAllString(s, "://"+Hidden+"@")
	}
	return anywhere.ReplaceAllString(s, Hidden+"@")
}

// URLs is text in which only what begins with a scheme may hold them.
func URLs(text string) string { return inURL.ReplaceAllString(text, "://"+Hidden+"@") }

// Quoted is text that quotes addresses, with a scheme or without.
func Quoted(text string) string { return inQuotes.ReplaceAllString(URLs(text), `"`+Hidden+"@") }
