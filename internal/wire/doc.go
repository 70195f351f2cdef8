// Package wire is the form in which two nodes speak: the messages that carry numbered frames, and the control messages
// that open, keep and end a session. Version 1 of the format is documented in docs/wire.md.
//
// Frames are packed by hand, since they are the hot path. Control messages are CBOR maps with integer keys: a field
// that a node does not know is ignored, so that neighbouring versions understand each other.
//
// Nothing here opens a connection, keeps state, or trusts its input: every decoder returns an error for bytes that do
// not parse, and allocates no more than the bytes it was given account for.
package wire
