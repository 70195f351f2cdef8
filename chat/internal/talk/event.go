package talk

// Event is something that happened. The types below are all there are.
type Event interface{ event() }

type (
	// Opened starts the chat: the users' group has been joined, and the tables of all nodes that answer are here.
	Opened struct {
		// Groups are the members of every group at this moment; changes after it come as Joined and Left.
		Groups map[string][]ID
		// Nodes are the other nodes that are connected.
		Nodes []string
		// Silent are those of them that did not answer. Nobody waits for their users.
		Silent []string
	}

	// Input is a line that the user typed, without its end.
	Input struct{ Text string }
	// Switch makes a room that the user is in the current one, without a word.
	Switch struct{ Room string }
	// Keystroke says that the user is writing something for the current room.
	Keystroke struct{}
	// TooLong is a line of input that was too long to keep.
	TooLong struct{ Bytes int }
	// End is the end of input, or the wish to leave.
	End struct{}

	// NodeUp is a new node in the mesh.
	NodeUp struct{ Node string }
	// NodeDown is a node that has gone.
	NodeDown struct{ Node, Reason string }
	// Joined is new members of a group.
	Joined struct {
		Group string
		IDs   []ID
	}
	// Left is members that left a group; Lost when their node was lost.
	Left struct {
		Group string
		IDs   []ID
		Lost  bool
	}

	// Missed is messages that were skipped because this node takes them in too slowly.
	Missed struct {
		Group, Node string
		Count       uint64
	}

	// Hello is a user who introduces itself, by itself.
	Hello struct{ User User }
	// Asked is a user who introduces itself and asks who is there.
	Asked struct {
		User User
		Seq  uint64
	}
	// Known is the answer: the users that somebody knows, itself among them, and the Seq of the question.
	Known struct {
		From  ID
		Seq   uint64
		Users []User
	}

	// Said is a message to a room, or to everybody when Room is empty.
	Said struct {
		From User
		Room string
		Text string
	}
	// Typing is a user who is writing something for a room.
	Typing struct {
		From ID
		Room string
	}
	// Told is a direct message to this user. It is to be confirmed.
	Told struct {
		From User
		Seq  uint64
		Text string
	}
	// Confirmed says that a direct message has been shown to its receiver.
	Confirmed struct{ Seq uint64 }
	// Undelivered says that a direct message did not arrive, and why.
	Undelivered struct {
		Seq    uint64
		Reason string
	}
	// Failed says that something the user asked for did not work.
	Failed struct{ Text string }

	// Tick is due at Talk.Wake.
	Tick struct{}
)

func (Opened) event()      {}
func (Input) event()       {}
func (Switch) event()      {}
func (Keystroke) event()   {}
func (Typing) event()      {}
func (TooLong) event()     {}
func (End) event()         {}
func (NodeUp) event()      {}
func (NodeDown) event()    {}
func (Joined) event()      {}
func (Left) event()        {}
func (Missed) event()      {}
func (Hello) event()       {}
func (Asked) event()       {}
func (Known) event()       {}
func (Said) event()        {}
func (Told) event()        {}
func (Confirmed) event()   {}
func (Undelivered) event() {}
func (Failed) event()      {}
func (Tick) event()        {}

// Action is something to do. The types below are all there are. They are done in order.
type Action interface{ action() }

type (
	// Show shows a line.
	Show struct{ Line Line }
	// Join joins the group of a room; a Joined with the own ID follows.
	Join struct{ Room string }
	// Leave leaves the group of a room.
	Leave struct{ Room string }
	// Say sends a message to the members of a room, to all users when Room is empty. It comes back as Said.
	Say struct{ Room, Text string }
	// ShowTyping tells the members of a room that the user is writing.
	ShowTyping struct{ Room string }
	// Tell sends a direct message; Confirmed or Undelivered follows, or nothing.
	Tell struct {
		To   ID
		Seq  uint64
		Text string
	}
	// Confirm answers a direct message.
	Confirm struct {
		To  ID
		Seq uint64
	}
	// Announce says hello to all users.
	Announce struct{ User User }
	// Ask introduces the user to one other and asks who is there.
	Ask struct {
		To   ID
		Seq  uint64
		User User
	}
	// Answer tells one user who is there.
	Answer struct {
		To    ID
		Seq   uint64
		Users []User
	}
	// Refuse ends the chat before it began: the nick is taken.
	Refuse struct {
		Nick       string
		Holder     ID
		Suggestion string
	}
	// Quit ends the chat.
	Quit struct{}
)

func (Show) action()       {}
func (Join) action()       {}
func (Leave) action()      {}
func (Say) action()        {}
func (ShowTyping) action() {}
func (Tell) action()       {}
func (Confirm) action()    {}
func (Announce) action()   {}
func (Ask) action()        {}
func (Answer) action()     {}
func (Refuse) action()     {}
func (Quit) action()       {}
