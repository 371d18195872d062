// Package chaos is the faults and the judge: a load of plain HTTP clients that
// send a draw again until they know what came of it, faults that happen to the
// cluster meanwhile, and what is to be said afterwards: whether everything that
// was acknowledged is there once, and for how long each slice was silent.
package chaos
