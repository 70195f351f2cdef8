package talk

import "time"

// How long things wait for each other.
const (
	// OpenWait bounds the wait for the nodes before Opened, and then that for the own joining of a room.
	OpenWait = time.Second
	// OrderWait is how long a line waits for one that belongs before it and comes over another way.
	OrderWait = 200 * time.Millisecond
	// contestWait is how long a joining user with somebody else's nick has to take another one before it is shown.
	contestWait = time.Second
	// claimPause is the time before a nick is asked for again when that did not work.
	claimPause = time.Second
	// recallWait is how long messages wait for those that were said before, and againWait how long after a newcomer has
	// read these they are read once more.
	recallWait = time.Second
	againWait  = 2 * time.Second
	// DirectWait is how long a direct message has to arrive, and BoxWait to be put where it waits for somebody who is not
	// here: when the store that leads has just died, the others take up to ten seconds to choose anew.
	DirectWait = 5 * time.Second
	BoxWait    = 20 * time.Second
	// boxPause is the time before the box is opened again that could not be read.
	boxPause = 5 * time.Second
	// endWait is how long direct messages have at the end of input.
	endWait = 2 * time.Second
	// orphanWait is how long a user is remembered who is in no group.
	orphanWait = 10 * time.Second
	// typingLasts is how long somebody is shown to be typing after a sign of it, and typingEvery how often signs go out.
	typingLasts = 5 * time.Second
	typingEvery = 3 * time.Second
	// goneLasts is how long a node that went is remembered in the View.
	goneLasts = time.Minute
)
