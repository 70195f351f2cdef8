// Command kith runs a node of a mesh, chats in it, and asks questions of it.
//
// Each command is a few lines here on top of the packages of the library. This package alone decides what only a
// program may decide: signals, exit statuses, and where logs go. Results go to stdout, logs and errors to stderr. The
// exit status is 0 when it worked, 1 when it did not, and 2 when the command line or the configuration is wrong.
package main
