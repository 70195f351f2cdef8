// Package crowd is many users of plain chats in one process, who look at what is shown to them: whether everybody sees
// everybody, and whether every message comes to every user once, in its sender's order, and how soon. A test and a
// measurement say with it what a room full of people takes. It knows the lines of a plain chat, and no chat.
package crowd
