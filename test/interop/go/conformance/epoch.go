package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// The step from an epoch of a log that is trusted to the next (FORMATS section 7): it may be followed where the old key's last
// checkpoint extends all that was seen, its newest leaf lists the new key, the new epoch is the next number, and its leaf 0 names
// that last checkpoint.

type epochPart struct {
	Key, Checkpoint, Leaf  string
	Consistency, Inclusion []json.RawMessage
	Witness                []rawReveal
}

func epochOf(in input, name string) (epochPart, []byte) {
	part := field[epochPart](in, name)
	quoted, err := json.Marshal(part.Leaf)
	if err != nil {
		panic(err)
	}
	return part, byteString(quoted)
}

func hashesOf(list []json.RawMessage) [][]byte {
	hashes := [][]byte{}
	for _, one := range list {
		hashes = append(hashes, byteString(one))
	}
	return hashes
}

// open reads a checkpoint that the key has signed.
func (k verifierKey) open(note string) (checkpoint, error) {
	said, err := parseCheckpointNote(note)
	if err != nil {
		return said, broken(err)
	}
	return said, requireSigned(said, k)
}

// number is the epoch that the name of a key ends with.
func (k verifierKey) number() uint64 {
	number, err := strconv.ParseUint(k.name[strings.LastIndex(k.name, "/")+1:], 10, 64)
	if err != nil {
		panic(err)
	}
	return number
}

func epochFollow(in input) (object, error) {
	key, err := parseKey(field[string](in, "key"))
	if err != nil {
		return nil, err
	}
	end, endLeaf := epochOf(in, "end")
	beginning, firstLeaf := epochOf(in, "beginning")
	next, err := parseKey(beginning.Key)
	if err != nil {
		return nil, broken(err)
	}
	theirs, ours := originForm.FindStringSubmatch(next.name), originForm.FindStringSubmatch(key.name)
	if theirs == nil || theirs[1] != ours[1] {
		return nil, errFailed
	}
	previous, err := openBeginning(next, beginning, firstLeaf)
	if err != nil {
		return nil, err
	}
	last, err := key.open(end.Checkpoint)
	if err != nil {
		return nil, err
	}
	if err := extendsSeen(in, key, last, hashesOf(end.Consistency)); err != nil {
		return nil, err
	}
	listed, err := listedKeys(last, end, endLeaf)
	if err != nil {
		return nil, err
	}
	named, err := key.open(previous)
	isPrevious := err == nil && named.size == last.size && bytes.Equal(named.root, last.root)
	if next.number() != key.number()+1 || !isPrevious || !listed[beginning.Key] {
		return nil, errNewEpoch
	}
	return object{"key": beginning.Key, "origin": next.name}, nil
}

// openBeginning checks how an epoch begins by its own key, and gives the checkpoint that its leaf 0 names; empty where it was
// created anew, whatever it names.
func openBeginning(key verifierKey, beginning epochPart, leaf []byte) (string, error) {
	said, err := key.open(beginning.Checkpoint)
	if err != nil {
		return "", err
	}
	if said.size == 0 || len(leaf) > maxLeafBytes {
		return "", errFailed
	}
	if err := verifyInclusion(0, said.tree, leaf, hashesOf(beginning.Inclusion)); err != nil {
		return "", err
	}
	opened, err := decodeLeaf(leaf, 0)
	if err != nil {
		return "", broken(err)
	}
	if opened.reason == "created" {
		return "", nil
	}
	return opened.previous, nil
}

func extendsSeen(in input, key verifierKey, last checkpoint, consistency [][]byte) error {
	if string(in["seen"]) == "null" {
		return nil
	}
	seen, err := key.open(field[string](in, "seen"))
	if err != nil {
		return err
	}
	switch {
	case last.size < seen.size:
		return errNewEpoch
	case last.size == seen.size && bytes.Equal(last.root, seen.root):
		if len(consistency) > 0 {
			return errFailed
		}
		return nil
	case last.size == seen.size || verifyConsistency(seen.tree, last.tree, consistency) != nil:
		return errForked
	}
	return nil
}

// listedKeys are those of keys/log in the refs of the newest leaf.
func listedKeys(last checkpoint, end epochPart, leaf []byte) (map[string]bool, error) {
	if last.size == 0 || len(leaf) > maxLeafBytes {
		return nil, errFailed
	}
	if err := verifyInclusion(last.size-1, last.tree, leaf, hashesOf(end.Inclusion)); err != nil {
		return nil, err
	}
	opened, err := decodeLeaf(leaf, int64(last.size-1))
	if err != nil {
		return nil, broken(err)
	}
	w := witness{kind: 4, raw: end.Witness}
	cells, err := w.getMany(opened.root, [][]byte{[]byte("keys/log")})
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	if cells[0] == nil {
		return listed, nil
	}
	texts, err := decodeCell("log-keys", cells[0])
	if err != nil {
		return nil, errFailed
	}
	for _, text := range texts {
		listed[text.(string)] = true
	}
	return listed, nil
}
