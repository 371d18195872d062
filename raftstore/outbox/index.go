package outbox

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"sort"
)

const (
	// indexEvery is the distance of a sparse index's marks, in bytes.
	indexEvery = 64 << 10
	indexMagic = "TOBI"
	// An index file: magic, version, tag, first sequence, size of the segment,
	// then 16 bytes a mark, then the CRC-32C of all that.
	indexHeadLen = 4 + 2 + 2 + 8 + 8
	markLen      = 16
)

// indexer decides which records get a mark.
type indexer struct{ next int64 }

// add appends a mark for the record at off, unless the last one is close.
func (x *indexer) add(index []mark, seq uint64, off int64) []mark {
	if off < x.next {
		return index
	}
	x.next = off + indexEvery
	return append(index, mark{seq: seq, off: off})
}

// seek returns the last mark that is not after seq; without one, the place of
// the segment's first record.
func seek(index []mark, first, seq uint64) mark {
	i := sort.Search(len(index), func(i int) bool { return index[i].seq > seq })
	if i == 0 {
		return mark{seq: first, off: headerLen}
	}
	return index[i-1]
}

func encodeIndex(tag uint16, first uint64, size int64, index []mark) []byte {
	b := make([]byte, 0, indexHeadLen+markLen*len(index)+sumLen)
	b = append(b, indexMagic...)
	b = binary.LittleEndian.AppendUint16(b, formatVersion)
	b = binary.LittleEndian.AppendUint16(b, tag)
	b = binary.LittleEndian.AppendUint64(b, first)
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	for _, m := range index {
		b = binary.LittleEndian.AppendUint64(b, m.seq)
		b = binary.LittleEndian.AppendUint64(b, uint64(m.off))
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

// decodeIndex reads what encodeIndex wrote for this very segment; ok is false
// for anything else.
func decodeIndex(b []byte, tag uint16, first uint64, size int64) (index []mark, ok bool) {
	body := len(b) - sumLen
	if body < indexHeadLen || (body-indexHeadLen)%markLen != 0 ||
		string(b[:4]) != indexMagic ||
		binary.LittleEndian.Uint16(b[4:]) != formatVersion ||
		binary.LittleEndian.Uint16(b[6:]) != tag ||
		binary.LittleEndian.Uint64(b[8:]) != first ||
		binary.LittleEndian.Uint64(b[16:]) != uint64(size) ||
		binary.LittleEndian.Uint32(b[body:]) != crc32.Checksum(b[:body], castagnoli()) {
		return nil, false
	}
	index = make([]mark, 0, (body-indexHeadLen)/markLen)
	for p := indexHeadLen; p < body; p += markLen {
		m := mark{
			seq: binary.LittleEndian.Uint64(b[p:]),
			off: int64(binary.LittleEndian.Uint64(b[p+8:])),
		}
		if m.seq < first || m.off < headerLen || m.off >= size {
			return nil, false
		}
		index = append(index, m)
	}
	return index, true
}

// saveIndex writes a full segment's index beside it. It only saves a later
// scan, so a failure is logged and no more.
func (o *Outbox) saveIndex(segment string, first uint64, size int64, index []mark) {
	path := indexPath(segment)
	if err := writeAtomic(path, encodeIndex(o.opts.Tag, first, size, index), false); err != nil {
		o.log.Warn("outbox: index not saved, it will be made again when it is needed",
			"file", path, "error", err)
	}
}

// loadIndex returns the index of a full segment, from its file or by a scan.
func (o *Outbox) loadIndex(v *view) ([]mark, error) {
	path := indexPath(v.path)
	if b, err := os.ReadFile(path); err == nil {
		if index, ok := decodeIndex(b, o.opts.Tag, v.first, v.size); ok {
			return index, nil
		}
	}
	o.indexMu.Lock() // one scan at a time, and one writer of the file
	defer o.indexMu.Unlock()
	if b, err := os.ReadFile(path); err == nil {
		if index, ok := decodeIndex(b, o.opts.Tag, v.first, v.size); ok {
			return index, nil
		}
	}
	s, err := scan(v.file, v.first, v.size)
	if err != nil {
		return nil, fmt.Errorf("outbox: scan %s: %w", v.path, err)
	}
	if s.bad != nil || s.next != v.last+1 {
		return nil, corrupt(v.path, s.end, s.bad, s.next)
	}
	if o.listed(v.segment) {
		o.saveIndex(v.path, v.first, v.size, s.index)
	}
	return s.index, nil
}
