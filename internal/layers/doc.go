// Package layers holds no code, only tests about all packages of the module: that imports follow the layers of
// ARCHITECTURE.md, that every package says once what it is for, and that every exported name has a doc comment.
package layers
