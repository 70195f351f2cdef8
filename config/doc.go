// Package config turns flags, environment variables and a file into one checked [Config] for a node and for the kith
// command.
//
// A key has one name everywhere: the key data-dir is the flag --data-dir, the environment variable KITH_DATA_DIR and
// data-dir in a YAML or TOML file. Where several give a value the first of these counts: flag, environment, file,
// default. [AddFlags] defines flags and [Load] reads everything.
//
// # Promises
//
//  1. What is not understood is refused: an unknown key in the file, a value outside what its key allows, a variable
//     KITH_… that looks like a mistyped one of ours. The error is an [*Error], which names the key, the value, where it
//     stood (with the line of the file) and what is allowed.
//  2. Secrets are never printed: neither by an error nor by formatting a Config.
//  3. Nothing is global: two Loads in one process know nothing of each other.
//
// # The environment
//
// An empty variable counts as not set. A variable that begins with KITH_ and is none of ours is an error when it is
// near to one of ours, since it is then most likely a slip that would otherwise go unnoticed; a far one is reported in
// [Config.Warnings]. Two families are left alone without a word: KITH_TEST_…, for tests, and the variables that
// Kubernetes makes for a service whose name begins with kith (KITH_SERVICE_HOST, KITH_PORT_4222_TCP and so on).
//
// # The file
//
// It is read only when --config or KITH_CONFIG names one; its kind follows from its ending. All keys stand at the top.
// Values are typed: text and durations in quotes where YAML or TOML would take them for numbers, lists as a list or
// as one text with commas.
//
// The package starts nothing, opens no socket and creates no file: it does not even read the cookie file.
package config
