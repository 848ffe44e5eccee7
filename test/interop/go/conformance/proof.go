package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Portable proofs of every kind (FORMATS sections 4 to 7 and 11): each checked part against part, with the digests that it hangs on.

// checked is a proof whose parts fit together.
type checked struct {
	claim object
	// Digests that vouch for the claim.
	holds [][]byte
	// nil where the proof ends below the log.
	chain *chain
}

func proofVerify(in input) (object, error) {
	var proof message
	var err error
	if raw, ok := in["binary"]; ok {
		proof, err = readBinaryProof(byteString(raw))
	} else {
		proof, err = readJSONProof(in["proof"])
	}
	if err != nil {
		return nil, err
	}
	known, err := checkProof(proof)
	if err != nil {
		return nil, err
	}
	verdict, err := anchorsOf(in).hold(known)
	if err != nil {
		return nil, err
	}
	return object{"verdict": verdict, "claim": known.claim}, nil
}

func checkProof(proof message) (*checked, error) {
	switch proof.text("type") {
	case "neleus.state-proof.v1":
		return checkState(proof)
	case "neleus.range-proof.v1":
		return checkRange(proof)
	case "neleus.chunk-proof.v1":
		return checkChunk(proof)
	case "neleus.manifest-proof.v1":
		return checkManifest(proof)
	case "neleus.ref-proof.v1":
		return checkRef(proof)
	}
	return checkCommit(proof)
}

// above adds what a proof says of where a root stands: place is 0 of the state, 1 of the ledger.
func (c *checked) above(proof message, root []byte, place int) error {
	snapshot, ok := proof.part("chain")
	isStaged := proof.truth("staged")
	if !ok {
		if isStaged {
			return errFailed
		}
		return nil
	}
	chain, err := checkChain(snapshot)
	if err != nil {
		return err
	}
	c.chain = chain
	if isStaged {
		if chain.staged == nil || !bytes.Equal(chain.staged[place], root) {
			return errFailed
		}
		return nil
	}
	name := []string{"state_root", "manifests"}[place]
	if chain.commit == nil || !bytes.Equal(chain.commit.content[name].([]byte), root) {
		return errFailed
	}
	c.holds = append(c.holds, chain.commit.hash[:])
	return nil
}

func checkState(proof message) (*checked, error) {
	root, key := proof.bytes("root"), proof.bytes("key")
	if len(root) != 32 || len(key) < 1 || len(key) > maxKeyBytes {
		return nil, errFailed
	}
	w := proof.reveals("nodes", 1)
	cells, err := w.getMany(root, [][]byte{key})
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return nil, err
	}
	value, hasValue := proof["value"].([]byte)
	isPresent := cells[0] != nil
	if proof.truth("present") != isPresent || (hasValue && !isPresent) {
		return nil, errFailed
	}
	claim := object{
		"kind": "state", "key": hex.EncodeToString(key), "present": isPresent, "hash": nil, "size": nil, "value": nil,
	}
	if isPresent {
		cell, err := decodeCell("state", cells[0])
		if err != nil {
			return nil, errFailed
		}
		hash, size := cell[0].([]byte), cell[1].(int64)
		claim["hash"], claim["size"] = hex.EncodeToString(hash), size
		if hasValue {
			if sum := taggedHash(blobPrefix, value); int64(len(value)) != size || !bytes.Equal(sum[:], hash) {
				return nil, errFailed
			}
			claim["value"] = hex.EncodeToString(value)
		}
	}
	c := checked{claim: claim, holds: [][]byte{root}}
	return &c, c.above(proof, root, 0)
}

func checkRange(proof message) (*checked, error) {
	root := proof.bytes("root")
	one := mapRange{from: proof.bytes("from")}
	one.to, _ = proof["to"].([]byte)
	isWrong := one.to != nil && bytes.Compare(one.from, one.to) >= 0
	if len(root) != 32 || len(one.from) > maxKeyBytes || len(one.to) > maxKeyBytes || isWrong {
		return nil, errFailed
	}
	w := proof.reveals("nodes", 1)
	entries, err := w.scan(root, one)
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return nil, err
	}
	keys := []string{}
	for _, entry := range entries {
		if _, err := decodeCell("state", entry.cell); err != nil {
			return nil, errFailed
		}
		keys = append(keys, hex.EncodeToString(entry.key))
	}
	c := checked{claim: object{"kind": "range", "keys": keys}, holds: [][]byte{root}}
	return &c, c.above(proof, root, 0)
}

func checkChunk(proof message) (*checked, error) {
	document, err := decodeObject("manifest:", proof.bytes("manifest"))
	if err != nil {
		return nil, broken(err)
	}
	index := proof.number("index")
	if document.kind != "document" || index > maxInteger {
		return nil, errFailed
	}
	chunks := document.content["chunks"].([]byte)
	w := proof.reveals("nodes", 2)
	cells, err := w.getMany(chunks, [][]byte{binary.BigEndian.AppendUint64(nil, index)})
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return nil, err
	}
	if cells[0] == nil {
		return nil, errFailed
	}
	cell, err := decodeCell("chunk", cells[0])
	if err != nil {
		return nil, errFailed
	}
	at := placed{int64(index), cell[0].([]byte), cell[1].(int64), cell[2].(int64)}
	if !at.isIn(document) {
		return nil, errFailed
	}
	claim := object{
		"kind": "chunk", "manifest": hex.EncodeToString(document.hash[:]), "index": index,
		"hash": hex.EncodeToString(at.hash), "size": at.size, "offset": at.offset, "sha256": nil,
	}
	if slice, ok := proof.part("slice"); ok {
		shown, err := at.bytesIn(document, slice)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(shown)
		claim["sha256"] = hex.EncodeToString(sum[:])
	}
	c := checked{claim: claim, holds: [][]byte{chunks, document.hash[:]}}
	_, hasChain := proof.part("chain")
	if len(proof.bytes("ledgerRoot")) == 0 {
		hasMore := len(proof.parts("ledgerNodes")) > 0 || len(proof.bytes("commit")) > 0 || hasChain || proof.truth("staged")
		if hasMore {
			return nil, errFailed
		}
		return &c, nil
	}
	return &c, c.inLedger(proof, document)
}

// placed is where a chunk lies.
type placed struct {
	index        int64
	hash         []byte
	size, offset int64
}

func blobOf(document stored) ([]byte, int64) {
	ref := document.content["blob"].([]any)
	return ref[0].([]byte), ref[1].(int64)
}

// isIn is true for a chunk within its document, and where the fixed method puts it.
func (p placed) isIn(document stored) bool {
	_, total := blobOf(document)
	if p.offset > total || p.size > total-p.offset {
		return false
	}
	rule := document.content["chunking"].(map[string]any)
	if rule["method"] != "fixed" {
		return true
	}
	start := p.index * (rule["size"].(int64) - rule["overlap"].(int64))
	return p.offset == start && p.size == min(rule["size"].(int64), total-start)
}

func (p placed) bytesIn(document stored, part message) ([]byte, error) {
	hash, total := blobOf(document)
	isRight := part.number("size") == uint64(total) && part.number("start") == uint64(p.offset) &&
		part.number("end") == uint64(p.offset+p.size) && p.size > 0
	if !isRight {
		return nil, errFailed
	}
	s := slice{
		parents: part.bytes("parents"), data: part.bytes("data"),
		ranges: [][2]int{{int(p.offset), int(p.offset + p.size)}},
	}
	if err := s.walk(0, int(total)+len(blobPrefix), digest(hash), true); err != nil {
		return nil, err
	}
	if sum := taggedHash(blobPrefix, s.shown); len(s.parents) > 0 || len(s.data) > 0 || !bytes.Equal(sum[:], p.hash) {
		return nil, errFailed
	}
	return s.shown, nil
}

// inLedger adds that a manifest stands in a ledger, and what is above that.
func (c *checked) inLedger(proof message, manifest stored) error {
	root := proof.bytes("ledgerRoot")
	if len(root) != 32 {
		return errFailed
	}
	w := proof.reveals("ledgerNodes", 3)
	cells, err := w.getMany(root, ledgerKeys(manifest)[:1])
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return err
	}
	if cells[0] == nil {
		return errFailed
	}
	cell, err := decodeCell("ledger", cells[0])
	if err != nil || cell[0].(int64) != int64(len(proof.bytes("manifest"))) {
		return errFailed
	}
	c.holds = append(c.holds, root)
	encoded := proof.bytes("commit")
	if _, hasChain := proof.part("chain"); hasChain || len(encoded) == 0 {
		if hasChain && len(encoded) > 0 {
			return errFailed
		}
		return c.above(proof, root, 1)
	}
	if proof.truth("staged") {
		return errFailed
	}
	commit, err := decodeObject("commit:", encoded)
	if err != nil {
		return broken(err)
	}
	if !bytes.Equal(commit.content["manifests"].([]byte), root) {
		return errFailed
	}
	c.holds = append(c.holds, commit.hash[:])
	return nil
}

func checkManifest(proof message) (*checked, error) {
	manifest, err := decodeObject("manifest:", proof.bytes("manifest"))
	if err != nil {
		return nil, broken(err)
	}
	hash := hex.EncodeToString(manifest.hash[:])
	c := checked{
		claim: object{"kind": "manifest", "manifest": hash, "manifest_kind": manifest.kind},
		holds: [][]byte{manifest.hash[:]},
	}
	return &c, c.inLedger(proof, manifest)
}

func refKind(c *chain) string {
	if c.isTag {
		return "tag"
	}
	return "head"
}

func checkRef(proof message) (*checked, error) {
	snapshot, ok := proof.part("chain")
	if !ok {
		return nil, errFailed
	}
	c, err := checkChain(snapshot)
	if err != nil {
		return nil, err
	}
	if proof.truth("present") != c.isPresent || (!c.isPresent && len(c.encoded) > 0) {
		return nil, errFailed
	}
	known := checked{chain: c}
	signatures, commit := []object{}, any(nil)
	if c.commit != nil {
		known.holds = [][]byte{c.commit.hash[:]}
		signatures, commit = signaturesOf("commit:", c.commit.content), hex.EncodeToString(c.commit.hash[:])
	}
	known.claim = object{
		"kind": "ref", "ref": refKind(c), "name": c.name, "present": c.isPresent, "commit": commit, "signatures": signatures,
	}
	return &known, nil
}

func checkCommit(proof message) (*checked, error) {
	snapshot, ok := proof.part("chain")
	if !ok {
		return nil, errFailed
	}
	c, err := checkChain(snapshot)
	if err != nil {
		return nil, err
	}
	if c.commit == nil {
		return nil, errFailed
	}
	last, path := *c.commit, proof.byteList("path")
	known := checked{chain: c, holds: [][]byte{c.commit.hash[:]}}
	for _, encoded := range path {
		parent, err := decodeObject("commit:", encoded)
		if err != nil {
			return nil, broken(err)
		}
		isNamed := false
		for _, hash := range last.content["parents"].([]any) {
			isNamed = isNamed || bytes.Equal(hash.([]byte), parent.hash[:])
		}
		if !isNamed {
			return nil, errFailed
		}
		last = parent
		known.holds = append(known.holds, parent.hash[:])
	}
	known.claim = object{
		"kind": "commit", "ref": refKind(c), "name": c.name, "commit": hex.EncodeToString(last.hash[:]),
		"newest": hex.EncodeToString(c.commit.hash[:]), "steps": len(path),
		"signatures": signaturesOf("commit:", last.content),
	}
	return &known, nil
}
