// Package screen is the chat on a whole terminal: rooms with what is unread, messages, who is here and on which node,
// the state of the mesh, and a line to write on.
//
// A Screen stands between the process of the user, which shows lines and views on it, and a bubbletea program, which
// draws them and turns keys into events of the talk. Neither waits for the other: lines and events queue between them.
// The model draws only what is visible, so that a room of 100,000 messages scrolls like one of ten.
//
// What others wrote is escaped before it is styled, so nothing in it reaches the terminal as a command.
package screen
