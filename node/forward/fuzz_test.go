package forward

import (
	"bytes"
	"testing"

	"tombola/allocator"
	"tombola/node/draws"
)

// readFrames reads all whole frames in b.
func readFrames(b []byte, each func(frame) error) {
	in := newFrameReader(bytes.NewReader(b), maxBatchBytes)
	for {
		f, err := in.next()
		if err != nil || each(f) != nil {
			return
		}
	}
}

func FuzzDraws(f *testing.F) {
	f.Add(append(oneDraw(1), oneDraw(2)...))
	f.Add(oneDraw(1)[:13])
	f.Fuzz(func(t *testing.T, b []byte) {
		readFrames(b, func(f frame) error {
			items, err := decodeDraws(f, nil)
			if err != nil {
				return err
			}
			again := batch{kind: frameDraws}
			for _, it := range items {
				d := draws.New(it.prize, it.user, it.requestID, 0, nil)
				d.Hops = it.hops
				again.room()
				again.buf = appendDraw(again.buf, it.id, it.group, d, it.remaining)
				again.added()
				d.Release()
			}
			again.seal()
			readFrames(again.buf, func(f frame) error {
				back, err := decodeDraws(f, nil)
				if err != nil || len(back) != len(items) {
					t.Fatalf("wrote %d draws, read %d, %v", len(items), len(back), err)
				}
				for i, it := range back {
					w := items[i]
					if !bytes.Equal(it.user, w.user) || !bytes.Equal(it.requestID, w.requestID) || it.id != w.id ||
						it.group != w.group || it.prize != w.prize || it.hops != w.hops || it.remaining != w.remaining {
						t.Fatalf("wrote %+v, read %+v", w, it)
					}
				}
				return nil
			})
			return nil
		})
	})
}

func FuzzAnswers(f *testing.F) {
	b := batch{kind: frameAnswers}
	for i := range 3 {
		b.room()
		b.buf = appendAnswer(b.buf, uint64(i)<<20, &draws.Answer{Failure: draws.Failure(i), Slice: 3, Outcome: allocator.Outcome{
			Verdict: allocator.Granted, Repeat: i == 1, GrantVoided: i == 2, Seq: 7, At: -5, Until: 1 << 50}})
		b.added()
	}
	b.sign()
	f.Add(b.buf)
	f.Fuzz(func(t *testing.T, b []byte) {
		readFrames(b, func(f frame) error {
			items, err := decodeAnswers(f, nil)
			if err != nil {
				return err
			}
			again := batch{kind: frameAnswers}
			for _, it := range items {
				again.room()
				again.buf = appendAnswer(again.buf, it.id, &it.answer)
				again.added()
			}
			again.seal()
			readFrames(again.buf, func(f frame) error {
				back, err := decodeAnswers(f, nil)
				if err != nil || len(back) != len(items) {
					t.Fatalf("wrote %d answers, read %d, %v", len(items), len(back), err)
				}
				for i := range back {
					if back[i] != items[i] {
						t.Fatalf("wrote %+v, read %+v", items[i], back[i])
					}
				}
				return nil
			})
			return nil
		})
	})
}

func FuzzCalls(f *testing.F) {
	f.Add(appendCall(nil, callFrame{id: 1, group: 2, remaining: 3, method: []byte("m"), body: []byte("{}")}))
	f.Add(appendReply(nil, replyFrame{id: 1, body: []byte("1")}))
	f.Add(appendReply(nil, replyFrame{id: 1, failed: &RemoteError{Code: "c", Text: "t"}}))
	f.Add(appendPost(nil, 1, 2, []byte("x")))
	f.Fuzz(func(t *testing.T, b []byte) {
		readFrames(b, func(f frame) error {
			if c, err := decodeCall(f.payload); err == nil {
				back, err := decodeCall(appendCall(nil, c)[headerSize:])
				if err != nil || back.id != c.id || back.group != c.group || back.remaining != c.remaining ||
					!bytes.Equal(back.method, c.method) || !bytes.Equal(back.body, c.body) {
					t.Fatalf("wrote %+v, read %+v, %v", c, back, err)
				}
			}
			if p, err := decodeReply(f.payload); err == nil {
				back, err := decodeReply(appendReply(nil, p)[headerSize:])
				if err != nil || back.id != p.id || !bytes.Equal(back.body, p.body) || (p.failed != nil && *back.failed != *p.failed) {
					t.Fatalf("wrote %+v, read %+v, %v", p, back, err)
				}
			}
			if group, kind, payload, err := decodePost(f.payload); err == nil {
				g, k, p, err := decodePost(appendPost(nil, group, kind, payload)[headerSize:])
				if err != nil || g != group || k != kind || !bytes.Equal(p, payload) {
					t.Fatalf("post %d %d read back as %d %d, %v", group, kind, g, k, err)
				}
			}
			return nil
		})
	})
}
