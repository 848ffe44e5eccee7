package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The log (FORMATS section 7): trees and proofs by golang.org/x/mod/sumdb/tlog and transparency-dev/merkle, keys by x/mod's note;
// notes by the rules of FORMATS, which are a little stricter than theirs.

const (
	maxLeafBytes      = 65_535
	maxNoteBytes      = 64 << 10
	maxNoteSignatures = 100
)

// openedLeaf is what a leaf says; reason is nil but in leaf 0, previous empty where it names no checkpoint.
type openedLeaf struct {
	time     int64
	root     []byte
	reason   any
	previous string
}

func logLeaf(in input) (object, error) {
	leaf, err := decodeLeaf(byteString(in["bytes"]), field[int64](in, "index"))
	if err != nil {
		return nil, err
	}
	return object{"time": leaf.time, "refs_root": hex.EncodeToString(leaf.root), "reason": leaf.reason}, nil
}

func decodeLeaf(encoded []byte, index int64) (openedLeaf, error) {
	value, err := decodeCBOR(encoded)
	if err != nil {
		return openedLeaf{}, err
	}
	leaf, ok := value.([]any)
	if !ok || len(leaf) == 0 {
		return openedLeaf{}, errMalformed
	}
	version, ok := leaf[0].(int64)
	if !ok {
		return openedLeaf{}, errMalformed
	}
	if version != 1 {
		return openedLeaf{}, errUnsupported
	}
	wanted := 3
	if index == 0 {
		wanted = 4
	}
	if len(leaf) != wanted || len(encoded) > maxLeafBytes {
		return openedLeaf{}, errMalformed
	}
	time, isTime := leaf[1].(int64)
	root, isRoot := leaf[2].([]byte)
	if !isTime || time < 0 || !isRoot || len(root) != 32 {
		return openedLeaf{}, errMalformed
	}
	opened := openedLeaf{time: time, root: root}
	if index == 0 {
		if opened.reason, err = beginning(leaf[3]); err != nil {
			return openedLeaf{}, err
		}
		opened.previous, _ = leaf[3].(map[string]any)["previous"].(string)
	}
	return opened, nil
}

func beginning(value any) (string, error) {
	first, ok := value.(map[string]any)
	if !ok {
		return "", errMalformed
	}
	reason, ok := first["reason"].(string)
	if !ok || !strings.Contains(" created restored cloned rekeyed ", " "+reason+" ") {
		return "", errMalformed
	}
	previous, isThere := first["previous"]
	if _, isText := previous.(string); isThere != isText || (!isThere && reason != "created") {
		return "", errMalformed
	}
	return reason, nil
}

func leavesOf(in input) [][]byte {
	if raw, ok := in["leaves"]; ok {
		return byteStrings(raw)
	}
	leaves := make([][]byte, field[int](in, "numbered"))
	for i := range leaves {
		leaves[i] = binary.BigEndian.AppendUint64(nil, uint64(i))
	}
	return leaves
}

// storedHashes are those of tlog, in its order.
func storedHashes(leaves [][]byte) (tlog.HashReaderFunc, error) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	})
	for i, leaf := range leaves {
		more, err := tlog.StoredHashes(int64(i), leaf, reader)
		if err != nil {
			return nil, err
		}
		stored = append(stored, more...)
	}
	return reader, nil
}

func logRoot(in input) (object, error) {
	leaves := leavesOf(in)
	reader, err := storedHashes(leaves)
	if err != nil {
		return nil, err
	}
	root, err := tlog.TreeHash(int64(len(leaves)), reader)
	if err != nil {
		return nil, err
	}
	return object{"root": hex.EncodeToString(root[:])}, nil
}

func areHashes(list [][]byte) bool {
	for _, one := range list {
		if len(one) != 32 {
			return false
		}
	}
	return true
}

func logInclusion(in input) (object, error) {
	index, size := field[uint64](in, "index"), field[uint64](in, "size")
	hashes, root := byteStrings(in["proof"]), byteString(in["root"])
	return object{}, verifyInclusion(index, tree{size, root}, byteString(in["leaf"]), hashes)
}

// tree is a log of some size.
type tree struct {
	size uint64
	root []byte
}

func verifyInclusion(index uint64, of tree, leaf []byte, hashes [][]byte) error {
	sum := rfc6962.DefaultHasher.HashLeaf(leaf)
	if !areHashes(hashes) || proof.VerifyInclusion(rfc6962.DefaultHasher, index, of.size, sum, hashes, of.root) != nil {
		return errFailed
	}
	return nil
}

func logConsistency(in input) (object, error) {
	old := tree{field[uint64](in, "from"), byteString(in["from_root"])}
	fresh := tree{field[uint64](in, "to"), byteString(in["to_root"])}
	return object{}, verifyConsistency(old, fresh, byteStrings(in["proof"]))
}

func verifyConsistency(old, fresh tree, hashes [][]byte) error {
	if old.size == 0 {
		// Of every log, and shown by the root of the empty one; RFC 6962 leaves this open.
		if empty := sha256.Sum256(nil); len(hashes) > 0 || string(old.root) != string(empty[:]) {
			return errFailed
		}
		return nil
	}
	hasher := rfc6962.DefaultHasher
	if !areHashes(hashes) || proof.VerifyConsistency(hasher, old.size, fresh.size, hashes, old.root, fresh.root) != nil {
		return errFailed
	}
	return nil
}

func tilePath(level int, index uint64, width int) string {
	path := fmt.Sprintf("%03d", index%1000)
	for rest := index / 1000; rest > 0; rest /= 1000 {
		path = fmt.Sprintf("x%03d/%s", rest%1000, path)
	}
	if width < 256 {
		path += fmt.Sprintf(".p/%d", width)
	}
	return fmt.Sprintf("tile/%d/%s", level, path)
}

func logTilePath(in input) (object, error) {
	return object{"path": tilePath(field[int](in, "level"), field[uint64](in, "index"), field[int](in, "width"))}, nil
}

func logTile(in input) (object, error) {
	level, index, width := field[int](in, "level"), field[int64](in, "index"), field[int](in, "width")
	reader, err := storedHashes(leavesOf(in))
	if err != nil {
		return nil, err
	}
	data, err := tlog.ReadTileData(tlog.Tile{H: 8, L: level, N: index, W: width}, reader)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return object{"path": tilePath(level, uint64(index), width), "sha256": hex.EncodeToString(sum[:])}, nil
}

type verifierKey struct {
	name, id string
	key      []byte
}

var keyForm = regexp.MustCompile(`^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$`)

func isKeyName(name string) bool {
	isBad := func(r rune) bool { return unicode.IsSpace(r) || r == '+' || r < 0x20 }
	return name != "" && utf8.ValidString(name) && strings.IndexFunc(name, isBad) < 0
}

func parseKey(text string) (verifierKey, error) {
	parts := keyForm.FindStringSubmatch(text)
	if parts == nil || !isKeyName(parts[1]) {
		return verifierKey{}, errMalformed
	}
	material, err := base64.StdEncoding.Strict().DecodeString(parts[3])
	if err != nil || len(material) == 0 {
		return verifierKey{}, errMalformed
	}
	sum := sha256.Sum256(append([]byte(parts[1]+"\n"), material...))
	if hex.EncodeToString(sum[:4]) != parts[2] {
		return verifierKey{}, errMalformed
	}
	if material[0] != 1 {
		return verifierKey{}, errUnsupported
	}
	// The same key is one for x/mod as well.
	if _, err := note.NewVerifier(text); err != nil || len(material) != 33 {
		return verifierKey{}, errMalformed
	}
	return verifierKey{parts[1], parts[2], material[1:]}, nil
}

func keyParse(in input) (object, error) {
	key, err := parseKey(field[string](in, "text"))
	if err != nil {
		return nil, err
	}
	return object{"name": key.name, "key_id": key.id, "public_key": hex.EncodeToString(key.key)}, nil
}

type noteSignature struct {
	name, id string
	value    []byte
}

func parseNote(encoded string) (string, []noteSignature, error) {
	isControl := func(r rune) bool { return r < 0x20 && r != '\n' }
	if len(encoded) > maxNoteBytes || !utf8.ValidString(encoded) || strings.IndexFunc(encoded, isControl) >= 0 {
		return "", nil, errMalformed
	}
	split := strings.LastIndex(encoded, "\n\n")
	if split < 0 || !strings.HasSuffix(encoded, "\n") {
		return "", nil, errMalformed
	}
	text, rest := encoded[:split+1], encoded[split+2:]
	lines := strings.Split(strings.TrimSuffix(rest, "\n"), "\n")
	if rest == "" || len(lines) > maxNoteSignatures {
		return "", nil, errMalformed
	}
	var signatures []noteSignature
	for _, line := range lines {
		name, encodedValue, ok := strings.Cut(strings.TrimPrefix(line, "— "), " ")
		value, err := base64.StdEncoding.Strict().DecodeString(encodedValue)
		if !strings.HasPrefix(line, "— ") || !ok || err != nil || !isKeyName(name) || len(value) < 5 {
			return "", nil, errMalformed
		}
		signatures = append(signatures, noteSignature{name, hex.EncodeToString(value[:4]), value[4:]})
	}
	return text, signatures, nil
}

func openNote(encoded string, keys []verifierKey) (string, []string, error) {
	text, signatures, err := parseNote(encoded)
	if err != nil {
		return "", nil, err
	}
	if len(keys) == 0 {
		return "", nil, errNotAnchored
	}
	signedBy := []string{}
	for _, signature := range signatures {
		for _, key := range keys {
			if key.name != signature.name || key.id != signature.id {
				continue
			}
			if !isValidSignature(key.key, []byte(text), signature.value) {
				return "", nil, errFailed
			}
			signedBy = append(signedBy, key.name+"+"+key.id)
		}
	}
	if len(signedBy) == 0 {
		return "", nil, errFailed
	}
	return text, signedBy, nil
}

func noteVerify(in input) (object, error) {
	var keys []verifierKey
	for _, text := range field[[]string](in, "keys") {
		key, err := parseKey(text)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	text, signedBy, err := openNote(field[string](in, "note"), keys)
	if err != nil {
		return nil, err
	}
	return object{"text": text, "signed_by": signedBy}, nil
}

var sizeForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,15})$`)

func parseCheckpointText(text string) (checkpoint, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, line := range lines {
		if line == "" {
			return checkpoint{}, errMalformed
		}
	}
	if len(lines) < 3 || !sizeForm.MatchString(lines[1]) {
		return checkpoint{}, errMalformed
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, rootErr := base64.StdEncoding.Strict().DecodeString(lines[2])
	empty := sha256.Sum256(nil)
	if err != nil || size > maxInteger || rootErr != nil || len(root) != 32 ||
		(size == 0 && string(root) != string(empty[:])) {
		return checkpoint{}, errMalformed
	}
	return checkpoint{origin: lines[0], tree: tree{uint64(size), root}}, nil
}

func parseCheckpoint(text string) (object, error) {
	said, err := parseCheckpointText(text)
	if err != nil {
		return nil, err
	}
	return object{"origin": said.origin, "size": said.size, "root": hex.EncodeToString(said.root)}, nil
}

func checkpointParse(in input) (object, error) {
	text, _, err := parseNote(field[string](in, "note"))
	if err != nil {
		return nil, err
	}
	return parseCheckpoint(text)
}

func checkpointVerify(in input) (object, error) {
	key, err := parseKey(field[string](in, "key"))
	if err != nil {
		return nil, err
	}
	text, _, err := openNote(field[string](in, "note"), []verifierKey{key})
	if err != nil {
		return nil, err
	}
	said, err := parseCheckpoint(text)
	if err != nil {
		return nil, err
	}
	if said["origin"] != key.name {
		return nil, errFailed
	}
	return said, nil
}
