package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
)

// Point proofs of a map (FORMATS section 4): a witness is checked reveal by reveal, then a key is read in it.

const (
	maxLevel      = 40
	maxEntryBytes = 1_400
	maxKeyBytes   = 1_024
	maxCellBytes  = 256
)

// reveal is a node of which some entries are shown.
type reveal struct {
	kind, level, total int64
	count              int
	shown              map[int]entry
}

// entry is one of level 0, with a cell, or above, with a child.
type entry struct {
	key, cell, child []byte
	total            int64
}

type rawReveal struct {
	Kind, Level, Total int64
	Count              int
	Indices            []int
	Entries            json.RawMessage
	Siblings           json.RawMessage
}

// readReveal checks all that can be checked before hashing, and returns the node with its digest.
func readReveal(raw rawReveal, kind int64) (reveal, digest, error) {
	entries, siblings := byteStrings(raw.Entries), byteString(raw.Siblings)
	node := reveal{raw.Kind, raw.Level, raw.Total, raw.Count, map[int]entry{}}
	isEmpty := raw.Count == 0 && raw.Level == 0 && raw.Total == 0 && len(raw.Indices) == 0
	if raw.Kind != kind || raw.Level < 0 || raw.Level > maxLevel || raw.Total < 0 || raw.Total > maxInteger ||
		(!isEmpty && (raw.Count < 1 || raw.Count > maxNodeEntries)) || len(raw.Indices) != len(entries) {
		return node, digest{}, errFailed
	}
	least, last := int64(raw.Count-len(entries)), -1
	var lastKey []byte
	hashes := map[int]digest{}
	for i, index := range raw.Indices {
		one, err := readEntry(entries[i], raw.Level)
		if err != nil || index <= last || index >= raw.Count || (i > 0 && bytes.Compare(one.key, lastKey) <= 0) {
			return node, digest{}, errFailed
		}
		node.shown[index], hashes[index] = one, taggedHash("state_leaf:", entries[i])
		last, lastKey = index, one.key
		least += one.total
	}
	isWhole := len(entries) == raw.Count
	if raw.Total < least || ((raw.Level == 0 || isWhole) && raw.Total != least) {
		return node, digest{}, errFailed
	}
	tree := partialTree{hashes, siblings}
	root, ok := taggedHash("merkle_node:"), true
	if raw.Count > 0 {
		root, ok = tree.root(0, raw.Count)
	}
	if !ok || len(tree.siblings) > 0 {
		return node, digest{}, errFailed
	}
	return node, nodeDigest(raw.Kind, raw.Level, raw.Count, raw.Total, root), nil
}

type partialTree struct {
	hashes   map[int]digest
	siblings []byte
}

// root is the one recursion of section 4.
func (t *partialTree) root(first, end int) (digest, bool) {
	isShown := false
	for i := first; i < end; i++ {
		if _, ok := t.hashes[i]; ok {
			isShown = true
		}
	}
	if !isShown {
		if len(t.siblings) < 32 {
			return digest{}, false
		}
		sibling := digest(t.siblings[:32])
		t.siblings = t.siblings[32:]
		return sibling, true
	}
	if end-first == 1 {
		return t.hashes[first], true
	}
	middle := first + leftBytes(end-first, 1)
	left, isLeft := t.root(first, middle)
	right, isRight := t.root(middle, end)
	return taggedHash("merkle_node:", left[:], right[:]), isLeft && isRight
}

func readEntry(encoded []byte, level int64) (entry, error) {
	if len(encoded) > maxEntryBytes {
		return entry{}, errFailed
	}
	if len(encoded) == 0 {
		return entry{}, errFailed
	}
	parts, rest := []any{}, reader{encoded[1:]}
	wanted := 2
	if level > 0 {
		wanted = 3
	}
	if encoded[0] != 0x80|byte(wanted) {
		return entry{}, errFailed
	}
	var before []byte
	for len(parts) < wanted {
		before = rest.in
		// The entry's own list is open around it.
		value, err := rest.value(1)
		if err != nil {
			return entry{}, errFailed
		}
		parts = append(parts, value)
	}
	key, ok := parts[0].([]byte)
	if !ok || len(rest.in) > 0 || len(key) < 1 || len(key) > maxKeyBytes {
		return entry{}, errFailed
	}
	if level == 0 {
		if _, ok := parts[1].([]any); !ok || len(before) > maxCellBytes {
			return entry{}, errFailed
		}
		return entry{key: key, cell: before, total: 1}, nil
	}
	child, isChild := parts[1].([]byte)
	total, isTotal := parts[2].(int64)
	if !isChild || len(child) != 32 || !isTotal || total < 1 {
		return entry{}, errFailed
	}
	return entry{key: key, child: child, total: total}, nil
}

// step is the place of a key in a node on the way down: behind how many entries it stands, and whether that is shown or only
// that it does not stand behind more.
type step struct {
	index   int
	isShown bool
}

func mapGet(in input) (object, error) {
	var raw []rawReveal
	if err := json.Unmarshal(in["witness"], &raw); err != nil {
		return nil, err
	}
	kind, key := field[int64](in, "kind"), byteString(in["key"])
	expected := byteString(in["root"])
	var parent *entry
	var left, present []byte
	var path []step
	for level := int64(-1); level != 0; {
		if len(raw) == 0 {
			return nil, errIncomplete
		}
		node, sum, err := readReveal(raw[0], kind)
		raw = raw[1:]
		if err != nil || !bytes.Equal(sum[:], expected) || !fits(node, parent, left, level) {
			return nil, errFailed
		}
		level = node.level
		at, err := place(node, key)
		if err != nil {
			return nil, err
		}
		path = append(path, at)
		if at.index == node.count {
			break
		}
		followed := node.shown[at.index]
		if level == 0 && bytes.Equal(followed.key, key) {
			present = followed.cell
		}
		if level > 0 {
			parent, expected, left = &followed, followed.child, nil
			if before, ok := node.shown[at.index-1]; ok {
				left = before.key
			}
		}
	}
	if len(raw) > 0 {
		return nil, errFailed
	}
	if present != nil {
		return object{"cell": hex.EncodeToString(present)}, nil
	}
	// Absent: the entry left of the path, at the deepest level that has one, has to be shown.
	for i := len(path) - 1; i >= 0; i-- {
		if path[i].index > 0 && !path[i].isShown {
			return nil, errIncomplete
		}
		if path[i].index > 0 {
			break
		}
	}
	return object{"cell": nil}, nil
}

// fits holds a node against the entry that led to it.
func fits(node reveal, parent *entry, left []byte, levelAbove int64) bool {
	if parent == nil {
		return node.level == 0 || node.count > 1
	}
	if node.level != levelAbove-1 || node.total != parent.total || node.count == 0 {
		return false
	}
	for index, one := range node.shown {
		order := bytes.Compare(one.key, parent.key)
		isLast := index == node.count-1
		if (left != nil && bytes.Compare(one.key, left) <= 0) || (isLast && order != 0) || (!isLast && order >= 0) {
			return false
		}
	}
	return true
}

// place finds a key among the shown entries: the first at or above it, or the end of the node where its last is below.
func place(node reveal, key []byte) (step, error) {
	index := node.count
	for at, one := range node.shown {
		if bytes.Compare(one.key, key) >= 0 && at < index {
			index = at
		}
	}
	_, isShown := node.shown[index-1]
	if index == node.count && !isShown && node.count > 0 {
		return step{}, errIncomplete
	}
	return step{index, isShown}, nil
}
