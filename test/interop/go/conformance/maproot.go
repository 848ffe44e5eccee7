package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
)

// The root of a map from its content (FORMATS section 3), built level by level.

const (
	maxNodeEntries  = 64
	maxNodeKeyBytes = 16_384
)

// row is an entry of some level.
type row struct {
	key, bytes []byte
	total      int64
	place      digest
	rank       int
}

func newRow(key, encoded []byte, total int64) row {
	place := taggedHash("state_key:", key)
	zeros := 0
	for _, one := range place {
		zeros += bits.LeadingZeros8(one)
		if one != 0 {
			break
		}
	}
	return row{key, encoded, total, place, zeros / 4}
}

func entriesRoot(leaves []digest) digest {
	switch len(leaves) {
	case 0:
		return taggedHash("merkle_node:")
	case 1:
		return leaves[0]
	}
	split := leftBytes(len(leaves), 1)
	left, right := entriesRoot(leaves[:split]), entriesRoot(leaves[split:])
	return taggedHash("merkle_node:", left[:], right[:])
}

func nodeDigest(kind, level int64, count int, total int64, root digest) digest {
	header := []any{int64(1), kind, level, int64(count), total, root[:]}
	return taggedHash("state_node:", encodeCBOR(header))
}

func cutLevel(rows []row, level int) [][]row {
	var nodes [][]row
	first := 0
	for i, one := range rows {
		isHigh := one.rank > level
		ends := isHigh
		if level > 0 {
			ends = isHigh && i > 0 && rows[i-1].rank <= level
		}
		if ends || i == len(rows)-1 {
			nodes = append(nodes, cutSegment(rows[first:i+1])...)
			first = i + 1
		}
	}
	return nodes
}

func cutSegment(rows []row) [][]row {
	keyBytes := 0
	for _, one := range rows {
		keyBytes += len(one.key)
	}
	if len(rows) <= maxNodeEntries && keyBytes <= maxNodeKeyBytes {
		return [][]row{rows}
	}
	// Candidates are entries 2 … n − 2, counted from 1.
	lowest := 1
	for i := 2; i <= len(rows)-3; i++ {
		if bytes.Compare(rows[i].place[:], rows[lowest].place[:]) < 0 {
			lowest = i
		}
	}
	return append(cutSegment(rows[:lowest+1]), cutSegment(rows[lowest+1:])...)
}

func buildMap(kind int64, rows []row) (digest, int) {
	for level := 0; ; level++ {
		nodes := cutLevel(rows, level)
		if len(rows) == 0 {
			nodes = [][]row{nil}
		}
		var above []row
		for _, node := range nodes {
			leaves := make([]digest, len(node))
			total := int64(0)
			for i, one := range node {
				leaves[i] = taggedHash("state_leaf:", one.bytes)
				total += one.total
			}
			sum := nodeDigest(kind, int64(level), len(node), total, entriesRoot(leaves))
			if len(nodes) == 1 {
				return sum, level + 1
			}
			last := node[len(node)-1].key
			above = append(above, newRow(last, encodeCBOR([]any{last, sum[:], total}), total))
		}
		rows = above
	}
}

func mapRoot(in input) (object, error) {
	var rows []row
	add := func(key, cell []byte) {
		encoded := append([]byte{0x82}, encodeCBOR(key)...)
		rows = append(rows, newRow(key, append(encoded, cell...), 1))
	}
	if raw, ok := in["entries"]; ok {
		var entries []json.RawMessage
		if err := json.Unmarshal(raw, &entries); err != nil {
			return nil, err
		}
		for _, entry := range entries {
			pair := byteStrings(entry)
			add(pair[0], pair[1])
		}
	} else {
		numbered := field[struct {
			Count, Digits int
			Prefix        string
		}](in, "numbered")
		for i := 0; i < numbered.Count; i++ {
			number := fmt.Sprintf("%0*d", numbered.Digits, i)
			value := "value " + number
			sum := taggedHash("blob:", []byte(value))
			add([]byte(numbered.Prefix+number), encodeCBOR([]any{sum[:], int64(len(value))}))
		}
	}
	root, height := buildMap(field[int64](in, "kind"), rows)
	return object{"root": hex.EncodeToString(root[:]), "height": height}, nil
}
