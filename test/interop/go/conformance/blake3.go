package main

import (
	"encoding/binary"
	"math/bits"
)

// BLAKE3 as its paper has it, one block at a time: the hash, and the chaining values of subtrees that slices need.

const (
	blockBytes = 64
	chunkBytes = 1024

	flagChunkStart = 1
	flagChunkEnd   = 2
	flagParent     = 4
	flagRoot       = 8
)

var iv = [8]uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}

var permutation = [16]int{2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8}

type digest = [32]byte

func compress(cv [8]uint32, block []byte, counter uint64, flags uint32) [8]uint32 {
	var padded [blockBytes]byte
	copy(padded[:], block)
	var m [16]uint32
	for i := range m {
		m[i] = binary.LittleEndian.Uint32(padded[4*i:])
	}
	v := [16]uint32{
		cv[0], cv[1], cv[2], cv[3], cv[4], cv[5], cv[6], cv[7],
		iv[0], iv[1], iv[2], iv[3], uint32(counter), uint32(counter >> 32), uint32(len(block)), flags,
	}
	mix := func(a, b, c, d int, x, y uint32) {
		v[a] += v[b] + x
		v[d] = bits.RotateLeft32(v[d]^v[a], -16)
		v[c] += v[d]
		v[b] = bits.RotateLeft32(v[b]^v[c], -12)
		v[a] += v[b] + y
		v[d] = bits.RotateLeft32(v[d]^v[a], -8)
		v[c] += v[d]
		v[b] = bits.RotateLeft32(v[b]^v[c], -7)
	}
	for round := 0; round < 7; round++ {
		mix(0, 4, 8, 12, m[0], m[1])
		mix(1, 5, 9, 13, m[2], m[3])
		mix(2, 6, 10, 14, m[4], m[5])
		mix(3, 7, 11, 15, m[6], m[7])
		mix(0, 5, 10, 15, m[8], m[9])
		mix(1, 6, 11, 12, m[10], m[11])
		mix(2, 7, 8, 13, m[12], m[13])
		mix(3, 4, 9, 14, m[14], m[15])
		var permuted [16]uint32
		for i, from := range permutation {
			permuted[i] = m[from]
		}
		m = permuted
	}
	var out [8]uint32
	for i := range out {
		out[i] = v[i] ^ v[i+8]
	}
	return out
}

func toBytes(words [8]uint32) (out digest) {
	for i, word := range words {
		binary.LittleEndian.PutUint32(out[4*i:], word)
	}
	return out
}

func rootFlag(isRoot bool) uint32 {
	if isRoot {
		return flagRoot
	}
	return 0
}

func chunkValue(chunk []byte, counter uint64, isRoot bool) digest {
	cv := iv
	for start := 0; ; start += blockBytes {
		end := min(start+blockBytes, len(chunk))
		var flags uint32
		if start == 0 {
			flags |= flagChunkStart
		}
		if end == len(chunk) {
			flags |= flagChunkEnd | rootFlag(isRoot)
			return toBytes(compress(cv, chunk[start:end], counter, flags))
		}
		cv = compress(cv, chunk[start:end], counter, flags)
	}
}

func parentValue(left, right digest, isRoot bool) digest {
	return toBytes(compress(iv, append(left[:], right[:]...), 0, flagParent|rootFlag(isRoot)))
}

// subtreeValue is the chaining value of input that starts at the given chunk.
func subtreeValue(input []byte, firstChunk uint64, isRoot bool) digest {
	if len(input) <= chunkBytes {
		return chunkValue(input, firstChunk, isRoot)
	}
	left := leftBytes(len(input), chunkBytes)
	return parentValue(
		subtreeValue(input[:left], firstChunk, false),
		subtreeValue(input[left:], firstChunk+uint64(left/chunkBytes), false),
		isRoot,
	)
}

// leftBytes is the largest unit times a power of two below the length.
func leftBytes(length, unit int) int {
	left := unit
	for left*2 < length {
		left *= 2
	}
	return left
}

func taggedHash(tag string, parts ...[]byte) digest {
	input := []byte(tag)
	for _, part := range parts {
		input = append(input, part...)
	}
	return subtreeValue(input, 0, true)
}
