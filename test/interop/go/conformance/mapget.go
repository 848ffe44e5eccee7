package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
)

// Point proofs of a map (FORMATS section 4): a witness is checked reveal by reveal, as keys are read in it.

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

// rawReveal is one as it arrives, nothing of it checked.
type rawReveal struct {
	Kind, Level, Total int64
	Count              int
	Indices            []int
	Entries            [][]byte
	Siblings           []byte
}

// UnmarshalJSON reads the notation of the kit.
func (r *rawReveal) UnmarshalJSON(encoded []byte) error {
	var written struct {
		Kind, Level, Total int64
		Count              int
		Indices            []int
		Entries, Siblings  json.RawMessage
	}
	if err := json.Unmarshal(encoded, &written); err != nil {
		return err
	}
	*r = rawReveal{
		written.Kind, written.Level, written.Total, written.Count, written.Indices,
		byteStrings(written.Entries), byteString(written.Siblings),
	}
	return nil
}

// readReveal checks all that can be checked before hashing, and returns the node with its digest.
func readReveal(raw rawReveal, kind int64) (reveal, digest, error) {
	entries, siblings := raw.Entries, raw.Siblings
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

// witness is what is left of a list of reveals.
type witness struct {
	kind int64
	raw  []rawReveal
}

func witnessOf(in input) (*witness, error) {
	w := witness{kind: field[int64](in, "kind")}
	return &w, json.Unmarshal(in["witness"], &w.raw)
}

// next is the node that a reader wants, which the next reveal has to be: the root, or the child of an entry. left is the key of
// the entry left of that one, where it is shown.
func (w *witness) next(expected []byte, parent *entry, left []byte, levelAbove int64) (reveal, error) {
	if len(w.raw) == 0 {
		return reveal{}, errIncomplete
	}
	node, sum, err := readReveal(w.raw[0], w.kind)
	w.raw = w.raw[1:]
	if err != nil || !bytes.Equal(sum[:], expected) || !fits(node, parent, left, levelAbove) {
		return reveal{}, errFailed
	}
	return node, nil
}

// child is the node below a shown entry.
func (w *witness) child(node reveal, index int) (reveal, error) {
	followed := node.shown[index]
	return w.next(followed.child, &followed, node.shown[index-1].key, node.level)
}

// finish wants every reveal to have been of use.
func (w *witness) finish() error {
	if len(w.raw) > 0 {
		return errFailed
	}
	return nil
}

// opened is a node on the current path, and the entry that was followed from it.
type opened struct {
	node reveal
	at   int
}

// getMany reads keys in ascending order. A node on the path of the key before is not shown again. Absent is nil.
func (w *witness) getMany(root []byte, keys [][]byte) ([][]byte, error) {
	var path []opened
	cells := make([][]byte, len(keys))
	for i, key := range keys {
		var steps []step
		for depth := 0; ; depth++ {
			if depth == len(path) {
				node, err := w.below(root, path)
				if err != nil {
					return nil, err
				}
				path = append(path, opened{node: node, at: -1})
			}
			node := path[depth].node
			at, err := place(node, key)
			if err != nil {
				return nil, err
			}
			steps = append(steps, at)
			if path[depth].at != at.index {
				path[depth].at, path = at.index, path[:depth+1]
			}
			if at.index == node.count {
				break
			}
			if node.level == 0 {
				if followed := node.shown[at.index]; bytes.Equal(followed.key, key) {
					cells[i] = followed.cell
				}
				break
			}
		}
		if cells[i] == nil && !showsLeft(steps) {
			return nil, errIncomplete
		}
	}
	return cells, nil
}

// below is the node that the path leads to.
func (w *witness) below(root []byte, path []opened) (reveal, error) {
	if len(path) == 0 {
		return w.next(root, nil, nil, -1)
	}
	last := path[len(path)-1]
	return w.child(last.node, last.at)
}

// showsLeft is true where the entry left of a path is shown, at the deepest level that has one, or there is none at all.
func showsLeft(steps []step) bool {
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].index > 0 {
			return steps[i].isShown
		}
	}
	return true
}

func mapGet(in input) (object, error) {
	w, err := witnessOf(in)
	if err != nil {
		return nil, err
	}
	cells, err := w.getMany(byteString(in["root"]), [][]byte{byteString(in["key"])})
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return nil, err
	}
	return object{"cell": hexOrNull(cells[0])}, nil
}

func mapGetMany(in input) (object, error) {
	w, err := witnessOf(in)
	if err != nil {
		return nil, err
	}
	cells, err := w.getMany(byteString(in["root"]), byteStrings(in["keys"]))
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return nil, err
	}
	shown := make([]any, len(cells))
	for i, cell := range cells {
		shown[i] = hexOrNull(cell)
	}
	return object{"cells": shown}, nil
}

func hexOrNull(bytes []byte) any {
	if bytes == nil {
		return nil
	}
	return hex.EncodeToString(bytes)
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
