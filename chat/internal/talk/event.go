package talk

import "time"

// Past is a message that was kept, and when.
type Past struct {
	Said
	At time.Time
}

// Event is something that happened. The types below are all there are.
type Event interface{ event() }

type (
	// Opened starts the chat: this user has its nick and has joined the users, and the tables of all nodes that answer
	// are here.
	Opened struct {
		// Users are all users of the mesh at this moment, and Groups the members of the other groups; changes after it
		// come as events.
		Users  []User
		Groups map[string][]ID
		// Nodes are the other nodes that are connected.
		Nodes []string
	}
	// Resynced is the state of all groups in place of changes that were missed.
	Resynced struct {
		Users  []User
		Groups map[string][]ID
	}

	// Input is a line that the user typed, without its end.
	Input struct{ Text string }
	// Switch makes a room that the user is in the current one, without a word.
	Switch struct{ Room string }
	// Keystroke says that the user is writing something for the current room.
	Keystroke struct{}
	// Older says that the user looks for what was said before the oldest message of the current room.
	Older struct{}
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

	// NickLost says that a user on another node keeps the nick, which both had: two partitions have met.
	NickLost struct{ Nick, Node string }
	// Claimed says that a nick is registered for this user now, and since when.
	Claimed struct {
		Nick  string
		Since uint64
	}
	// NotClaimed says that it is not: somebody has it, or it did not work this time.
	NotClaimed struct {
		Nick  string
		Taken bool
	}

	// Missed is messages that were skipped because this node takes them in too slowly.
	Missed struct {
		Group, Node string
		Count       uint64
	}

	// Said is a message to a room, or to everybody when Room is empty. Seq is its number among all that its sender said,
	// from 1 on, so that it is known again.
	Said struct {
		From User
		Room string
		Text string
		Seq  uint64
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

	// Recalled answers Recall, with the oldest message first.
	Recalled struct {
		Recall
		Past []Past
		// Read is how many were read, with those that make no sense and are not in Past; First and Last are the places of
		// the oldest and of the newest of these.
		Read        int
		First, Last uint64
		// None says that nobody keeps a history, and Failed why it cannot be read now.
		None   bool
		Failed string
	}
	// Boxed answers Open, with the direct messages that waited for the holder of the nick, the oldest first, and the place
	// of the newest; zero for none.
	Boxed struct {
		Nick string
		Past []Past
		Last uint64
	}
	// BoxFailed answers Open when they cannot be read now; None says that nobody keeps any.
	BoxFailed struct {
		Nick string
		None bool
	}
	// Stored says that a direct message waits for its receiver now.
	Stored struct{ Seq uint64 }
	// Unknown says that it does not, since nobody has heard of its receiver.
	Unknown struct{ Seq uint64 }
	// Kept says that the stores take what is said, after they did not, or for the first time.
	Kept struct{}
	// Mail says that a direct message for this user has been put where those wait who come later.
	Mail struct{}
	// Failed says that something the user asked for did not work.
	Failed struct{ Text string }

	// Tick is due at Talk.Wake.
	Tick struct{}
)

func (Opened) event()      {}
func (Resynced) event()    {}
func (NickLost) event()    {}
func (Claimed) event()     {}
func (NotClaimed) event()  {}
func (Input) event()       {}
func (Switch) event()      {}
func (Keystroke) event()   {}
func (Older) event()       {}
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
func (Recalled) event()    {}
func (Boxed) event()       {}
func (BoxFailed) event()   {}
func (Stored) event()      {}
func (Unknown) event()     {}
func (Kept) event()        {}
func (Mail) event()        {}
func (Tick) event()        {}

// Action is something to do. The types below are all there are. They are done in order.
type Action interface{ action() }

type (
	// Show shows a line.
	Show struct{ Line Line }
	// ShowPast shows what was said in a room before what has been shown of it, the oldest first. Asked says that the user
	// wanted to see it.
	ShowPast struct {
		Room  string
		Lines []Line
		Asked bool
	}
	// Join joins the group of a room; a Joined with the own ID follows.
	Join struct{ Room string }
	// Leave leaves the group of a room.
	Leave struct{ Room string }
	// Say sends a message to the members of a room, to all users when Room is empty. It comes back as Said.
	Say struct {
		Room, Text string
		Seq        uint64
	}
	// ShowTyping tells the members of a room that the user is writing.
	ShowTyping struct{ Room string }
	// Tell sends a direct message; Confirmed or Undelivered follows, or nothing.
	Tell struct {
		To   ID
		Seq  uint64
		Text string
	}
	// Recall reads what was said in a room: Count messages before a place, zero for the newest; or with Again those behind
	// one. Recalled follows.
	Recall struct {
		Room          string
		Before, After uint64
		Again         bool
		Count         int
	}
	// Open reads the direct messages that wait for the holder of a nick, behind a place. Boxed or BoxFailed
	// follows.
	Open struct {
		Nick  string
		After uint64
	}
	// Empty forgets those up to a place: they have been shown.
	Empty struct {
		Nick string
		UpTo uint64
	}
	// Store leaves a direct message for somebody who is not here; Stored, Unknown or Undelivered follows. By is when it is
	// given up, and must not be left any more. Met says that this user has seen them: what they leave behind may still be on
	// its way to the stores.
	Store struct {
		Nick string
		Seq  uint64
		Text string
		By   time.Time
		Met  bool
	}
	// Poke tells a user that a direct message waits.
	Poke struct{ To ID }
	// Confirm answers a direct message.
	Confirm struct {
		To  ID
		Seq uint64
	}
	// Announce changes what this user says of itself.
	Announce struct{ User User }
	// Claim asks for a nick; Claimed or NotClaimed follows.
	Claim struct{ Nick string }
	// Quit ends the chat.
	Quit struct{}
)

func (Show) action()       {}
func (ShowPast) action()   {}
func (Recall) action()     {}
func (Open) action()       {}
func (Empty) action()      {}
func (Store) action()      {}
func (Poke) action()       {}
func (Join) action()       {}
func (Leave) action()      {}
func (Say) action()        {}
func (ShowTyping) action() {}
func (Tell) action()       {}
func (Confirm) action()    {}
func (Announce) action()   {}
func (Claim) action()      {}
func (Quit) action()       {}
