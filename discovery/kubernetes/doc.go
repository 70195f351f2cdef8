// Package kubernetes is the discovery strategy of nodes that run as pods: it reads the EndpointSlices of a service.
//
// It is a package of its own so that only programs that use it carry client-go; the command kith has it when it is built
// with the tag kubernetes.
//
// # What it takes
//
// Every address of the slices that the label selector picks, ready or not: nodes are often not ready just because they
// wait for each other. A pod that is terminating is left out, so that a node that leaves is not dialled again. As with
// every strategy, a candidate that disappears costs no link, and a question that fails keeps the last list; "forbidden"
// is a failure like any other, never an empty answer.
//
// The default is to watch, which needs the verbs list and watch on endpointslices of discovery.k8s.io; with an interval
// it polls, and list is enough.
package kubernetes
