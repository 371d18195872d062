package persist_test

import (
	"fmt"
	"testing"

	"tombola/allocator"
	"tombola/persist"
)

// BenchmarkWrite writes batches of 1,000 grants of distinct users, with a
// commit to disk each. "without user index" is what the index on user_id costs.
func BenchmarkWrite(b *testing.B) {
	for _, c := range []struct{ driver, name, prepare string }{
		{persist.DriverSQLite, "sqlite", ""},
		{persist.DriverSQLite, "sqlite without user index", "DROP INDEX send_log_user"},
		{persist.DriverMySQL, "mysql", ""},
		{persist.DriverMySQL, "mysql without user index", "DROP INDEX send_log_user ON send_log"},
	} {
		b.Run(c.name, func(b *testing.B) {
			db := newDatabase(b, c.driver)
			if c.prepare != "" {
				_, err := db.raw.Exec(c.prepare)
				must(b, err)
			}
			s := db.open(b)
			_, err := s.Checkpoint(b.Context(), 1)
			must(b, err)
			const batch = 1000
			rows := make([]persist.Row, batch)
			after := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				for i := range rows {
					rows[i] = grant(after + uint64(i) + 1)
					// Spread over the index like real ids, not in order.
					rows[i].Event.User = fmt.Appendf(rows[i].Event.User[:0], "user-%016x", scatter(rows[i].Event.Seq))
				}
				must(b, s.Write(b.Context(), 1, after, rows))
				after += batch
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(after), "ns/row")
		})
	}
}

// scatter maps sequences to numbers without order.
func scatter(seq uint64) uint64 {
	return (seq ^ seq>>7) * 0x9e3779b97f4a7c15
}

// BenchmarkUserGrants finds one user's grants among 100,000.
func BenchmarkUserGrants(b *testing.B) {
	for _, driver := range []string{persist.DriverSQLite, persist.DriverMySQL} {
		b.Run(driver, func(b *testing.B) {
			db := newDatabase(b, driver)
			s := db.open(b)
			rows := make([]persist.Row, 1000)
			for after := uint64(0); after < 100_000; after += 1000 {
				for i := range rows {
					rows[i] = grant(after + uint64(i) + 1)
				}
				must(b, s.Write(b.Context(), 1, after, rows))
			}
			n := 0
			for b.Loop() {
				found, err := s.UserGrants(b.Context(), fmt.Sprintf("u%d", 1+n%100_000), "tv", 10)
				must(b, err)
				if len(found) != 1 || found[0].GrantID.Slice() != allocator.SliceNo(1) {
					b.Fatalf("found %v", found)
				}
				n++
			}
		})
	}
}
