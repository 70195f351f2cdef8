// Package address holds the rules for the names of nodes and for the addresses they are reached at, so that the
// configuration, the command and the node refuse the same things with the same words.
//
// It only looks at text: it resolves no host and opens nothing.
package address
