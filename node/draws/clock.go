package draws

import "time"

// start is where Now counts from; only differences of Now mean anything.
var start = time.Now() //nolint:gochecknoglobals // the base of a monotonic clock

// Now returns the time in nanoseconds on a clock that never steps, on which
// deadlines of draws are set.
func Now() int64 { return int64(time.Since(start)) }
