package raftstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// What bbolt's file begins with: two pages, each with a header and a meta
// record, written in turn. The valid one of the later transaction counts.
const (
	metaMagic   = 0xED0CDAED
	metaAt      = 16 // after the page's header
	metaSummed  = 56 // bytes that the checksum covers
	metaSize    = metaSummed + 8
	metaEndAt   = 40 // page number behind the last one in use
	metaTxAt    = 48 // transaction number
	minPageSize = 1 << 10
	maxPageSize = 1 << 16
)

// errTornLog is wrapped when a log's file can't be one that a crash left: what
// it held may have been acknowledged, so the server must not go on with less.
var errTornLog = errors.New("the file is damaged or cut short: give this server a new, empty data directory")

// checkFile looks at a log's file before it is mapped. A page that lies behind
// the end of the file would end the process without a word when it is read.
// A file that does not exist is a new log's, and so is an empty one.
func checkFile(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	end, ok, err := usedBytes(file)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	case !ok:
		return fmt.Errorf("%s: neither meta page is valid: %w", path, errTornLog)
	case end > info.Size():
		return fmt.Errorf("%s: %d bytes of %d are there: %w", path, info.Size(), end, errTornLog)
	}
	return nil
}

// usedBytes returns how long a file has to be by what its newest valid meta
// page says, or false where none is valid.
func usedBytes(file io.ReaderAt) (end int64, ok bool, err error) {
	var newest uint64
	look := func(at int64) error {
		var b [metaAt + metaSize]byte
		if _, err := file.ReadAt(b[:], at); errors.Is(err, io.EOF) {
			return nil // no page there
		} else if err != nil {
			return err
		}
		m := b[metaAt:]
		size, tx := int64(binary.NativeEndian.Uint32(m[8:])), binary.NativeEndian.Uint64(m[metaTxAt:])
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSummed])
		if binary.NativeEndian.Uint32(m) != metaMagic || sum.Sum64() != binary.NativeEndian.Uint64(m[metaSummed:]) || ok && tx < newest {
			return nil
		}
		newest, ok = tx, true
		end = int64(binary.NativeEndian.Uint64(m[metaEndAt:])) * size
		return nil
	}
	if err := look(0); err != nil {
		return 0, false, err
	}
	// The size of pages is in the meta pages alone.
	for size := int64(minPageSize); size <= maxPageSize; size *= 2 {
		if err := look(size); err != nil {
			return 0, false, err
		}
	}
	return end, ok, nil
}
