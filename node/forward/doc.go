// Package forward carries traffic between the servers of a cluster on
// connections that are kept open.
//
// Draws have connections of their own. A Pool keeps a Link to each server;
// Send adds a draw to what waits there and returns. While one batch is being
// written the next one fills, so that batches grow with load and a lone draw
// waits for nobody. The other side's Server hands each draw to its Router and
// batches the answers in the same way.
//
// What a failure says is exact. A draw of which nothing was written comes back
// as NoLeader, Timeout or Overloaded: certainly not done. Once it may have been
// written, only an answer makes it certain; a lost connection or a passed
// deadline makes it UnknownOutcome. An answer that comes later is dropped.
//
// Calls and posts share another connection per server, so that a large body
// does not delay draws. A Caller's Call sends JSON and waits for a reply; Post
// sends one message and promises nothing.
//
// # Frames
//
// Every frame starts with 8 bytes, big endian:
//
//	length of what follows them 4 | version 1 | kind 1 | count 2
//
// A draw is: id, group, prize (uvarints), flags and hops (1 byte, hops in the
// low four bits), milliseconds left (uvarint), user and request id (each one
// byte of length and its bytes). An answer is: id (uvarint), failure (1), slice
// (uvarint), verdict (1), flags (1), seq (uvarint), at and until (varints). A
// frame of either kind without any is a sign of life: a link sends one when it
// has heard nothing for a second, and the other side sends it back.
package forward
