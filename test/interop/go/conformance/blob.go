package main

import "encoding/hex"

// Slices of blobs (FORMATS section 5): the pre-order walk over the tree of groups of the prefixed input.

const (
	groupBytes = 16 * chunkBytes
	blobPrefix = "blob:"
)

type slice struct {
	parents, data []byte
	// Of the blob, ascending and disjoint: first byte, and the one behind the last.
	ranges  [][2]int
	isEmpty bool
	shown   []byte
}

func blobSlice(in input) (object, error) {
	return blobRanges(in, [][2]int{{field[int](in, "start"), field[int](in, "end")}})
}

func blobSlices(in input) (object, error) {
	return blobRanges(in, field[[][2]int](in, "ranges"))
}

func blobRanges(in input, ranges [][2]int) (object, error) {
	size := field[int](in, "size")
	s := slice{parents: byteString(in["parents"]), data: byteString(in["data"]), ranges: ranges, isEmpty: size == 0}
	if err := s.walk(0, size+len(blobPrefix), digest(byteString(in["hash"])), true); err != nil {
		return nil, err
	}
	if len(s.parents) > 0 || len(s.data) > 0 {
		return nil, errFailed
	}
	sum := taggedHash(blobPrefix, s.shown)
	return object{"size": len(s.shown), "hash": hex.EncodeToString(sum[:])}, nil
}

// part is what a range has of the input bytes from … to − 1.
func part(one [2]int, from, to int) (int, int) {
	return max(one[0]+len(blobPrefix), from), min(one[1]+len(blobPrefix), to)
}

func (s *slice) meets(from, to int) bool {
	for _, one := range s.ranges {
		if start, end := part(one, from, to); start < end {
			return true
		}
	}
	return s.isEmpty
}

// walk checks the subtree over input bytes from … to − 1 against its chaining value.
func (s *slice) walk(from, to int, expected digest, isRoot bool) error {
	if !s.meets(from, to) {
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
		if err := s.walk(from, middle, left, false); err != nil {
			return err
		}
		return s.walk(middle, to, right, false)
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
	for _, one := range s.ranges {
		if start, end := part(one, from+len(prefix), to); start < end {
			s.shown = append(s.shown, prefixed[start-from:end-from]...)
		}
	}
	return nil
}
