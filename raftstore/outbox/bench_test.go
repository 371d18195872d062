package outbox

import (
	"bytes"
	"testing"
)

const (
	benchRecords = 1000 // a call
	benchPayload = 60
)

func benchPayloads() [][]byte {
	ps := make([][]byte, benchRecords)
	for i := range ps {
		ps[i] = bytes.Repeat([]byte{byte(i)}, benchPayload)
	}
	return ps
}

func report(b *testing.B, records int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records), "ns/record")
}

func BenchmarkAppend(b *testing.B) {
	o := openAt(b, Options{Dir: b.TempDir()})
	ps := benchPayloads()
	b.SetBytes(benchRecords * benchPayload)
	b.ReportAllocs()
	for b.Loop() {
		if err := o.Append(o.Last()+1, ps); err != nil {
			b.Fatal(err)
		}
		if o.Size() > 256<<20 { // leave the disk some room
			b.StopTimer()
			must(b, o.Trim(o.Last()))
			b.StartTimer()
		}
	}
	report(b, b.N*benchRecords)
}

func benchRead(b *testing.B, step func(o *Outbox, next uint64, batch *Batch) uint64) {
	o := openAt(b, Options{Dir: b.TempDir()})
	ps := benchPayloads()
	const last = 1_500_000 // two segments
	for o.Last() < last {
		must(b, o.Append(o.Last()+1, ps))
	}
	var batch Batch
	records, next := 0, uint64(1)
	b.SetBytes(benchRecords * benchPayload)
	b.ReportAllocs()
	for b.Loop() {
		next = step(o, next, &batch)
		if err := o.Read(next, benchRecords, 0, &batch); err != nil {
			b.Fatal(err)
		}
		records += len(batch.Payloads)
		if next = batch.Next(); next > last {
			next = 1
		}
	}
	report(b, records)
}

// BenchmarkRead reads on from where the last batch ended, as a drain does.
func BenchmarkRead(b *testing.B) {
	benchRead(b, func(_ *Outbox, next uint64, _ *Batch) uint64 { return next })
}

// BenchmarkReadAnywhere begins each read somewhere else.
func BenchmarkReadAnywhere(b *testing.B) {
	benchRead(b, func(o *Outbox, next uint64, _ *Batch) uint64 {
		return 1 + next*7919%(o.Last()-benchRecords)
	})
}

// BenchmarkOpen opens an outbox whose newest segment is full and has to be
// scanned, beside one that is full and flushed.
func BenchmarkOpen(b *testing.B) {
	opts := Options{Dir: b.TempDir()}
	o := openAt(b, opts)
	ps := benchPayloads()
	for o.Size() < 2*DefaultSegmentBytes-2*benchRecords*benchPayload {
		must(b, o.Append(o.Last()+1, ps))
	}
	last := o.Last()
	must(b, o.Close())
	b.SetBytes(DefaultSegmentBytes)
	for b.Loop() {
		o, err := Open(opts)
		if err != nil || o.Last() != last {
			b.Fatal(o.Last(), err)
		}
		must(b, o.Close())
	}
}
