package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Commits, manifests and cells (FORMATS section 6), by the types of formats.cddl.

const (
	maxParents    = 16
	maxSignatures = 16
	maxAgentBytes = 256
	signatureText = "neleus signature v1\n"
)

// check says whether a value is of a type.
type check func(any) bool

// members of a map that are known; the name of one that may be absent ends with a question mark.
type members map[string]check

func ofText(value any) bool { _, ok := value.(string); return ok }

func ofBytes(length int) check {
	return func(value any) bool { content, ok := value.([]byte); return ok && len(content) == length }
}

var ofHash = ofBytes(32)

func ofCount(value any) bool { number, ok := value.(int64); return ok && number >= 0 }

func ofNumber(value any) bool {
	_, isInteger := value.(int64)
	_, isFloat := value.(float64)
	return isInteger || isFloat
}

func ofAnything(any) bool { return true }

func oneOf(texts ...string) check {
	return func(value any) bool {
		for _, text := range texts {
			if value == text {
				return true
			}
		}
		return false
	}
}

func listOf(least, most int, one check) check {
	return func(value any) bool {
		list, ok := value.([]any)
		if !ok || len(list) < least || len(list) > most {
			return false
		}
		for _, element := range list {
			if !one(element) {
				return false
			}
		}
		return true
	}
}

func mapOf(one check) check {
	return func(value any) bool {
		content, ok := value.(map[string]any)
		for _, element := range content {
			ok = ok && one(element)
		}
		return ok
	}
}

// positions is a list that begins like this; what follows is refused or ignored.
func positions(isOpen bool, checks ...check) check {
	return func(value any) bool {
		list, ok := value.([]any)
		if !ok || len(list) < len(checks) || (!isOpen && len(list) > len(checks)) {
			return false
		}
		for i, one := range checks {
			if !one(list[i]) {
				return false
			}
		}
		return true
	}
}

func (m members) has(value any) bool {
	content, ok := value.(map[string]any)
	if !ok {
		return false
	}
	for name, one := range m {
		text, isOptional := strings.CutSuffix(name, "?")
		element, isThere := content[text]
		if (isThere && !one(element)) || (!isThere && !isOptional) {
			return false
		}
	}
	return true
}

const many = maxObjectBytes

var (
	ofRef     = positions(false, ofHash, ofCount)
	ofMeta    = mapOf(ofText)
	io        = members{"name": ofText, "blob": ofRef, "media?": ofText}
	retrieval = members{"chunk": ofHash, "document?": ofHash, "score?": ofNumber}
	tool      = members{
		"name": ofText, "id?": ofText, "arguments?": ofRef, "result?": ofRef, "error?": ofText,
		"started?": ofCount, "ended?": ofCount,
	}
	evidence = members{
		"kind":  oneOf("chunk", "blob", "document", "run", "commit", "external"),
		"hash?": ofHash, "uri?": ofText, "note?": ofText,
	}
	chunking = members{"method": ofText, "size": ofCount, "overlap": ofCount}
)

func ofAgent(value any) bool {
	text, ok := value.(string)
	return ok && len(text) >= 1 && len(text) <= maxAgentBytes && !strings.Contains(text, "\x00")
}

func ofSignatures(value any) bool {
	one := members{"alg": oneOf("ed25519"), "key": ofBytes(32), "value": ofBytes(64)}
	if !listOf(1, maxSignatures, one.has)(value) {
		return false
	}
	var last []byte
	for _, signature := range value.([]any) {
		key := signature.(map[string]any)["key"].([]byte)
		if last != nil && bytes.Compare(last, key) >= 0 {
			return false
		}
		last = key
	}
	return true
}

func ofParents(value any) bool {
	if !listOf(0, maxParents, ofHash)(value) {
		return false
	}
	seen := map[string]bool{}
	for _, parent := range value.([]any) {
		name := string(parent.([]byte))
		if seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

func ofConfidence(value any) bool {
	switch number := value.(type) {
	case int64:
		return number == 0 || number == 1
	case float64:
		return number >= 0 && number <= 1
	}
	return false
}

func ofDimensions(value any) bool {
	number, ok := value.(int64)
	return ok && number >= 1 && number <= 65_536
}

var commitForm = members{
	"parents": ofParents, "author": ofText, "message": ofText, "state_root": ofHash, "manifests": ofHash, "time": ofCount,
	"database?": ofBytes(16), "meta?": ofMeta, "signatures?": ofSignatures,
}

// The forms of manifests, by kind. Each may have meta and signatures.
var manifestForms = map[string]members{
	"document": {
		"source": ofText, "title?": ofText, "media?": ofText, "blob": ofRef, "chunking": chunking.has, "chunks": ofHash,
		"time": ofCount,
	},
	"run": {
		"agent": ofAgent, "provider": ofText, "model": ofText, "parameters": mapOf(ofAnything), "system_prompt?": ofRef,
		"inputs": listOf(0, many, io.has), "outputs": listOf(0, many, io.has), "retrieved": listOf(0, many, retrieval.has),
		"tools?": listOf(0, many, tool.has), "started": ofCount, "ended": ofCount,
		"status": oneOf("ok", "error", "cancelled"), "error?": ofText, "usage?": mapOf(ofNumber),
		"intent?": ofHash, "parent?": ofHash, "previous?": ofHash,
	},
	"intent": {
		"agent": ofAgent, "provider": ofText, "model": ofText, "inputs": listOf(0, many, io.has), "time": ofCount,
	},
	"provenance": {
		"agent": ofAgent, "claim": ofRef, "confidence": ofConfidence, "evidence": listOf(0, many, evidence.has),
		"runs": listOf(0, many, ofHash), "time": ofCount,
	},
	"embedding": {
		"document": ofHash, "model": ofText, "dimensions": ofDimensions, "metric": oneOf("cosine", "dot", "l2"),
		"vectors": ofRef, "time": ofCount,
	},
	"attestation": {
		"subject": ofHash, "subject_tag": oneOf("commit:", "manifest:"), "statement": ofText, "time": ofCount,
		"signatures": ofSignatures,
	},
	"erasure": {"subjects": listOf(1, many, ofHash), "reason": ofText, "time": ofCount},
}

// stored is a commit or manifest as received.
type stored struct {
	hash    digest
	kind    string
	content map[string]any
}

func decodeObject(tag string, encoded []byte) (stored, error) {
	one := stored{hash: taggedHash(tag, encoded), kind: "commit"}
	value, err := decodeCBOR(encoded)
	if err != nil {
		return one, err
	}
	content, ok := value.(map[string]any)
	if !ok {
		return one, errMalformed
	}
	one.content = content
	version, ok := content["v"].(int64)
	if !ok {
		return one, errMalformed
	}
	if version != 1 {
		return one, errUnsupported
	}
	if tag == "commit:" {
		if !commitForm.has(content) {
			return one, errMalformed
		}
		return one, nil
	}
	if one.kind, ok = content["kind"].(string); !ok {
		return one, errMalformed
	}
	form, ok := manifestForms[one.kind]
	if !ok {
		return one, errUnsupported
	}
	shared := members{"meta?": ofMeta, "signatures?": ofSignatures}
	if !form.has(content) || !shared.has(content) {
		return one, errMalformed
	}
	if one.kind == "run" && content["ended"].(int64) < content["started"].(int64) {
		return one, errMalformed
	}
	return one, nil
}

func objectDecode(in input) (object, error) {
	one, err := decodeObject(field[string](in, "tag"), byteString(in["bytes"]))
	if err != nil {
		return nil, err
	}
	return object{"hash": hex.EncodeToString(one.hash[:]), "kind": one.kind}, nil
}

// signaturesOf are the verdicts on an object's signatures: over its hash without them.
func signaturesOf(tag string, content map[string]any) []object {
	verdicts := []object{}
	list, ok := content["signatures"].([]any)
	if !ok {
		return verdicts
	}
	unsigned := map[string]any{}
	for name, value := range content {
		if name != "signatures" {
			unsigned[name] = value
		}
	}
	sum := taggedHash(tag, encodeCBOR(unsigned))
	message := append([]byte(signatureText+tag), sum[:]...)
	for _, one := range list {
		signature := one.(map[string]any)
		key, value := signature["key"].([]byte), signature["value"].([]byte)
		verdicts = append(verdicts, object{"key": hex.EncodeToString(key), "valid": isValidSignature(key, message, value)})
	}
	return verdicts
}

func objectSignatures(in input) (object, error) {
	value, err := decodeCBOR(byteString(in["bytes"]))
	if err != nil {
		return nil, err
	}
	content, ok := value.(map[string]any)
	if list, isThere := content["signatures"]; !ok || (isThere && !ofSignatures(list)) {
		return nil, errMalformed
	}
	return object{"signatures": signaturesOf(field[string](in, "tag"), content)}, nil
}

// ledgerKeys are the keys of a manifest in a ledger.
func ledgerKeys(one stored) [][]byte {
	name := "time"
	if one.kind == "run" {
		name = "started"
	}
	place := binary.BigEndian.AppendUint64(nil, uint64(one.content[name].(int64)))
	place = append(place, one.hash[:]...)
	keys := [][]byte{append([]byte(one.kind+"\x00"), place...)}
	if one.kind == "run" {
		keys = append(keys, append([]byte("run-by-agent\x00"+one.content["agent"].(string)+"\x00"), place...))
	}
	return keys
}

func objectLedgerKeys(in input) (object, error) {
	one, err := decodeObject("manifest:", byteString(in["bytes"]))
	if err != nil {
		return nil, err
	}
	shown := []string{}
	for _, key := range ledgerKeys(one) {
		shown = append(shown, hex.EncodeToString(key))
	}
	return object{"keys": shown}, nil
}

func ofTrue(value any) bool { return value == true }

func ofStateCell(value any) bool {
	extension := members{"expires?": ofCount, "media?": ofText, "salted?": ofTrue}
	list, ok := value.([]any)
	return ok && positions(true, ofHash, ofCount)(value) && (len(list) < 3 || extension.has(list[2]))
}

var cellForms = map[string]check{
	"state":    ofStateCell,
	"chunk":    positions(true, ofHash, ofCount, ofCount),
	"ledger":   positions(true, ofCount),
	"commit":   positions(true, ofHash),
	"staged":   positions(true, ofHash, ofHash),
	"log-keys": listOf(1, many, ofText),
}

// decodeCell reads a cell, which a proof has shown.
func decodeCell(name string, encoded []byte) ([]any, error) {
	value, err := decodeCBOR(encoded)
	if err != nil || len(encoded) > maxCellBytes || !cellForms[name](value) {
		return nil, errMalformed
	}
	return value.([]any), nil
}

func cellDecode(in input) (object, error) {
	_, err := decodeCell(field[string](in, "cell"), byteString(in["bytes"]))
	return object{}, err
}
