// Package identity says what a certificate proves about a node: which names it stands for, that it comes from an authority
// that is trusted, and that what was signed with its key was signed by its holder.
//
// A certificate names nodes in one of two ways. With an alternative name that is a URI of the scheme kith, such as
// kith:alice@db1.example.com, it stands for the nodes of these names and for no others; the name may be a pattern, in
// which * is any run of characters and ? any one. Without such a URI it stands for a host: every node name whose part
// behind the @ is one of its DNS names or IP addresses.
//
// The package reads no clock and no file: time and certificates come in as arguments.
package identity
