package allocator

import (
	"fmt"
	"testing"
)

// An entry costs little more than the ids in it, and so does the outbox.
func TestSizes(t *testing.T) {
	const draws = 1000
	user, id := []byte("user-0123456789"), []byte("request-0123456789")
	var w EntryWriter
	w.Begin(nil, 1_790_000_000_000_000, []Day{20_000})
	for range draws {
		w.Draw(300, user, id)
	}
	perDraw := float64(w.Size())/draws - float64(len(user)+len(id))
	e := Event{Seq: 10_000_000, Kind: EventGrant, Prize: 300, At: 1_790_000_000_000_000, Day: 20_000, User: user, RequestID: id}
	perEvent := len(AppendEvent(nil, &e)) - len(user) - len(id)
	t.Logf("beside the ids: %.2f bytes a draw in an entry, %d an event", perDraw, perEvent)
	if perDraw > 10 || perEvent > 24 {
		t.Fatal("too large")
	}
}

// benchSlice is a lone slice that holds more tokens than any benchmark draws.
func benchSlice(b *testing.B, userLimit int64) *Slice {
	s := NewSlice(SliceConfig{Slice: 1, Slices: 1, Key: testKey()})
	def := fuzzDefinition()
	def.Total, def.DailyLimit, def.PerUserLimit, def.Release, def.StartsAt = MaxTotal, MaxTotal, userLimit, Release{}, 0
	def.EndsAt = 0
	var w EntryWriter
	w.Begin(nil, 20_000*dayLength, []Day{20_000})
	w.Word(&Word{Kind: WordDefine, Define: def})
	w.Word(&Word{Kind: WordLot, Prize: 1, Version: 9, N: 1, Tokens: MaxTotal / 2})
	w.Word(&Word{Kind: WordLot, Prize: 1, Version: 9, Purse: Purse{20_000, 2}, N: 1, Tokens: MaxTotal / 2})
	var res Result
	if err := s.Apply(w.Bytes(), &res); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkApplyDraws decides entries of 1000 draws of new users.
func BenchmarkApplyDraws(b *testing.B) {
	for _, with := range []bool{true, false} {
		b.Run(map[bool]string{true: "request-ids", false: "without"}[with], func(b *testing.B) {
			s := benchSlice(b, 0)
			var w EntryWriter
			var res Result
			var buf, user, id []byte
			const draws = 1000
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				w.Begin(buf[:0], 20_000*dayLength+Micros(n), []Day{20_000})
				for range draws {
					n++
					user = fmt.Appendf(user[:0], "user-%d", n)
					if with {
						id = fmt.Appendf(id[:0], "request-%d", n)
					}
					w.Draw(1, user, id)
				}
				buf = w.Bytes()
				res.Reset()
				b.StartTimer()
				if err := s.Apply(buf, &res); err != nil || res.Outcomes[0].Verdict != Granted {
					b.Fatal(err, res.Outcomes[0])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/draws, "ns/draw")
		})
	}
}

// BenchmarkLook asks what a draw would come to: a refusal of a sold out prize,
// and a draw that has to be proposed.
func BenchmarkLook(b *testing.B) {
	s := benchSlice(b, 1)
	days, user, id := []Day{20_000}, []byte("user-0123456789"), []byte("request-0123456789")
	b.Run("to-propose", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if out := s.Look(1, user, id, 20_000*dayLength, days); out.Verdict != Granted {
				b.Fatal(out)
			}
		}
	})
	s.prize(1).stock.tokens, s.prize(1).stock.dry = 0, 9
	b.Run("sold-out", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if out := s.Look(1, user, nil, 20_000*dayLength, days); out.Verdict != SoldOut {
				b.Fatal(out)
			}
		}
	})
}
