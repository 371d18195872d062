//go:build !race

package draws

const raceEnabled = false
