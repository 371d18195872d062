// Package wire holds what travels over Tombola's HTTP API: the types of every
// JSON body, the outcomes of draws, the stable codes of problems, and the rules
// for ids and prize definitions. The server and its clients share it, so it
// imports nothing but the standard library.
//
// The bodies of a draw are read and written by hand, without reflection and
// without allocation; everything else goes through encoding/json.
//
// Nothing here keeps state: all functions may be called concurrently.
package wire
