// Package chat is a chat on the mesh: rooms, direct messages and a roster, without a server.
//
// It is made of the public packages alone, and each part shows one of them at work. A user is a process (package
// process): all that happens to it, typed lines included, is a message in its mailbox, so nothing needs a lock. A room
// is a group in the scope "chat" (package pg), and so is the group of all users, where members say their nicks. A nick is
// a name of the whole mesh (package global), so two people who want the same one at the same time are told apart. A call
// to every node (package rpc) makes sure at the start that the groups of all of them are known. Where the mesh has store
// nodes, a log keeps what is said (package history). The rules themselves, what is shown when, are a
// state machine in internal/talk that knows nothing of a mesh.
//
// # Promises
//
//  1. A message reaches every member of its room once, in its sender's order; messages of two senders may interleave
//     differently at two receivers (CHAT-01, CHAT-02).
//  2. A newcomer sees the full roster at once (CHAT-08). Who dies without leaving is shown to leave, once (CHAT-04).
//  3. A member that is slow or frozen delays nobody else (CHAT-09).
//  4. In a partition both sides chat on. When it heals the rosters merge; what was said meanwhile is not delivered
//     later (CHAT-06). Of two users with one nick, who registered it first keeps it, and the other is told and renamed
//     (CHAT-07); but a node that was frozen gives way to who took the nick meanwhile.
//  5. At the end of its input a chat leaves its rooms when all that it sent has been handed to the mesh; shut the node
//     down with Shutdown, not Close, to let it leave this machine too.
//
// What others write is shown, never obeyed: control characters and escape sequences come out as text.
//
// # History
//
// With Config.History, in a mesh with store nodes, rooms keep their messages, for HistoryAge and up to HistoryBytes in all.
// Who enters a room sees the last of them, /history pages back, and a direct message to somebody who is away waits for
// them. Each message is shown once, whether it comes live, from the log, or both ways: it has a number among those of
// its sender. Who says something keeps it, behind having said it; so in a partition the side without a majority of the
// stores has no history, says so, and chats on. Without stores everything else works, and /history says why it does not.
//
// A box for direct messages belongs to a nick, and to whoever registers it next. Nothing is encrypted beyond what the
// routes of the mesh do, on the stores' disks neither.
package chat
