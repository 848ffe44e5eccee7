package main

import "encoding/hex"

// Slices of blobs (FORMATS section 5): the pre-order walk over the tree of groups of the prefixed input.

const (
	groupBytes = 16 * chunkBytes
	blobPrefix = "blob:"
)

type slice struct {
	parents, data []byte
	start, end    int
	shown         []byte
}

func blobSlice(in input) (object, error) {
	hash := byteString(in["hash"])
	size, start, end := field[int](in, "size"), field[int](in, "start"), field[int](in, "end")
	s := slice{
		parents: byteString(in["parents"]), data: byteString(in["data"]),
		start: start + len(blobPrefix), end: end + len(blobPrefix),
	}
	isEmpty := size == 0
	if err := s.walk(0, size+len(blobPrefix), digest(hash), true, isEmpty); err != nil {
		return nil, err
	}
	if len(s.parents) > 0 || len(s.data) > 0 {
		return nil, errFailed
	}
	sum := taggedHash(blobPrefix, s.shown)
	return object{"size": len(s.shown), "hash": hex.EncodeToString(sum[:])}, nil
}

// walk checks the subtree over input bytes from … to − 1 against its chaining value.
func (s *slice) walk(from, to int, expected digest, isRoot, isEmpty bool) error {
	if !isEmpty && (s.end <= from || to <= s.start) {
		return nil
	}
	if to-from > groupBytes {
		if len(s.parents) < 64 {
			return errIncomplete
		}
		left, right := digest(s.parents[:32]), digest(s.parents[32:64])
		s.parents = s.parents[64:]
		if parentValue(left, right, isRoot) != expected {
			return errFailed
		}
		middle := from + leftBytes(to-from, groupBytes)
		if err := s.walk(from, middle, left, false, isEmpty); err != nil {
			return err
		}
		return s.walk(middle, to, right, false, isEmpty)
	}
	prefix := ""
	if from == 0 {
		prefix = blobPrefix
	}
	length := to - from - len(prefix)
	if len(s.data) < length {
		return errIncomplete
	}
	group := s.data[:length]
	s.data = s.data[length:]
	prefixed := append([]byte(prefix), group...)
	if subtreeValue(prefixed, uint64(from/chunkBytes), isRoot) != expected {
		return errFailed
	}
	shownFrom, shownTo := max(s.start, from+len(prefix)), min(s.end, to)
	if shownFrom < shownTo {
		s.shown = append(s.shown, prefixed[shownFrom-from:shownTo-from]...)
	}
	return nil
}
