package talk

// Event is something that happened. The types below are all there are.
type Event interface{ event() }

type (
	// Opened starts the chat: this user has joined the users, and the tables of all nodes that answer are here.
	Opened struct {
		// Users are all users of the mesh at this moment, and Groups the members of the other groups; changes after it
		// come as events.
		Users  []User
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
	// Came is new users of the mesh.
	Came struct{ Users []User }
	// Changed is users who say something else of themselves now.
	Changed struct{ Users []User }
	// Went is users who are users no more; Lost when their node was lost.
	Went struct {
		IDs  []ID
		Lost bool
	}
	// Joined is new members of a room.
	Joined struct {
		Group string
		IDs   []ID
	}
	// Left is members that left a room; Lost when their node was lost.
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
func (Came) event()        {}
func (Changed) event()     {}
func (Went) event()        {}
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
	// Announce changes what this user says of itself.
	Announce struct{ User User }
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
func (Refuse) action()     {}
func (Quit) action()       {}
