// Package admin serves the functions by which somebody outside looks into a node and steers it: kith.nodes,
// kith.groups, kith.members, kith.broadcast, kith.report and kith.stop, for a program that can, kith.reload, and for one with
// global names, kith.global (see [ServeGlobal]). The command kith asks for them, so a program whose nodes serve them with
// [Serve] can be looked at with kith nodes, kith groups and so on. Any node of the mesh, and any NATS client that the mesh
// lets in, may call them too.
//
// # Promises
//
//  1. An answer is what the asked node itself sees at that moment. It asks nobody else, and waits for nobody.
//  2. Looking changes nothing: a scope that does not run is not started, a node is not connected to.
//
// The functions kith.echo, kith.sum, kith.sleep and kith.info are those of package rpc. The package decides nothing
// about who may call: in a mesh everybody who has the cookie may, unless rules of the node say otherwise (see node.Rule).
package admin
