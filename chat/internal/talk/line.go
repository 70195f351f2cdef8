package talk

import (
	"strings"
	"time"
)

// Kind says what a line is about.
type Kind uint8

// The kinds of lines. The fields that each uses are named here.
const (
	// Connected is the first line: Nick, Node.
	Connected Kind = iota + 1
	// Message is a message to a room: Room, Nick, Text.
	Message
	// ToAll is a message to everybody: Nick, Text.
	ToAll
	// Direct is a direct message to this user: Nick, Text.
	Direct
	// DirectSent is a direct message from this user: Nick is the receiver, Text.
	DirectSent
	// Joined and Left are about a room: Room, Nick; Lost with Left.
	JoinedRoom
	LeftRoom
	// NodeIsUp and NodeIsDown are about the mesh: Node; Reason with NodeIsDown.
	NodeIsUp
	NodeIsDown
	// Roster is who is in a room: Room, Names; Entered when this user has just come in.
	Roster
	// List answers a question about something else than a room: Text is what is listed, Names.
	List
	// Notice says something to this user alone: Text.
	Notice
	// Problem is an error; the chat goes on: Text.
	Problem
	// Hint is for people, and no script: Text.
	Hint
)

// Line is one thing to show. Its strings are as they came: Format escapes them, and so must whoever else shows them.
type Line struct {
	Kind   Kind
	Time   time.Time
	Room   string
	Nick   string
	Node   string
	Text   string
	Reason string
	Names  []string
	// Lost says that a user left because the node was lost.
	Lost bool
	// Mine says that the user wrote this.
	Mine bool
	// Entered says that the user is in the room from here on.
	Entered bool
}

// Format is the line as the plain mode prints it, without the newline. Every line of the plain mode is made here.
func (l Line) Format() string {
	switch l.Kind {
	case Connected:
		return "* connected as " + l.Nick + " on " + l.Node
	case Message:
		return "[" + l.Room + "] " + l.Nick + ": " + Escape(l.Text)
	case ToAll:
		return "(all) " + l.Nick + ": " + Escape(l.Text)
	case Direct:
		return "(dm) " + l.Nick + ": " + Escape(l.Text)
	case DirectSent:
		return "(dm to " + l.Nick + ") " + Escape(l.Text)
	case JoinedRoom:
		return "* " + l.Nick + " joined " + l.Room
	case LeftRoom:
		if l.Lost {
			return "* " + l.Nick + " left " + l.Room + " (node down)"
		}
		return "* " + l.Nick + " left " + l.Room
	case NodeIsUp:
		return "* node up " + l.Node
	case NodeIsDown:
		return "* node down " + l.Node + " (" + l.Reason + ")"
	case Roster:
		return "* " + l.Room + ": " + strings.Join(l.Names, ", ")
	case List:
		return "* " + l.Text + ": " + Escape(strings.Join(l.Names, ", "))
	case Notice, Hint:
		return "* " + Escape(l.Text)
	case Problem:
		return "! " + Escape(l.Text)
	}
	return ""
}
