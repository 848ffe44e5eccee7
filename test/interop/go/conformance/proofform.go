package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Proof files (FORMATS section 11): protobuf JSON, or the bytes of the message. Fields that a form does not have are refused,
// and so is a field given twice that is no list.

type formKind int

const (
	kindUint32 formKind = iota
	kindUint64
	kindBool
	kindBytes
	kindText
	kindMessage
)

type formField struct {
	number     uint64
	name       string
	kind       formKind
	form       *form
	isRepeated bool
	// Absent is absent, and not empty.
	isOptional bool
}

type form []formField

// message is what a proof holds: uint64, bool, []byte, string, message, or []any of these. What is absent is not in it.
type message map[string]any

func one(number uint64, name string, kind formKind) formField {
	return formField{number: number, name: name, kind: kind}
}

func optional(number uint64, name string, kind formKind) formField {
	return formField{number: number, name: name, kind: kind, isOptional: true}
}

func listed(number uint64, name string, kind formKind) formField {
	return formField{number: number, name: name, kind: kind, isRepeated: true}
}

func nested(number uint64, name string, of *form) formField {
	return formField{number: number, name: name, kind: kindMessage, form: of, isOptional: true}
}

func nestedList(number uint64, name string, of *form) formField {
	return formField{number: number, name: name, kind: kindMessage, form: of, isRepeated: true}
}

var (
	revealForm = form{
		one(1, "kind", kindUint32), one(2, "level", kindUint32), one(3, "count", kindUint32), one(4, "total", kindUint64),
		listed(5, "indices", kindUint32), listed(6, "entries", kindBytes), one(7, "siblings", kindBytes),
	}
	logForm = form{
		one(1, "checkpoint", kindText), listed(2, "consistency", kindBytes), one(3, "leaf", kindBytes),
		listed(4, "inclusion", kindBytes),
	}
	cosignedForm = form{one(1, "note", kindText), listed(2, "consistency", kindBytes)}
	chainForm    = form{
		one(1, "head", kindText), nested(2, "log", &logForm), nestedList(3, "refs", &revealForm), one(4, "commit", kindBytes),
		one(5, "tag", kindText), nestedList(6, "cosigned", &cosignedForm),
	}
	sliceForm = form{
		one(1, "size", kindUint64), one(2, "start", kindUint64), one(3, "end", kindUint64), one(4, "parents", kindBytes),
		one(5, "data", kindBytes),
	}
)

var proofForms = map[string]form{
	"neleus.state-proof.v1": {
		one(1, "type", kindText), one(2, "root", kindBytes), one(3, "key", kindBytes), one(4, "present", kindBool),
		optional(5, "value", kindBytes), nestedList(6, "nodes", &revealForm), nested(7, "chain", &chainForm),
		one(8, "staged", kindBool),
	},
	"neleus.range-proof.v1": {
		one(1, "type", kindText), one(2, "root", kindBytes), one(3, "from", kindBytes), optional(4, "to", kindBytes),
		nestedList(5, "nodes", &revealForm), nested(6, "chain", &chainForm), one(7, "staged", kindBool),
	},
	"neleus.chunk-proof.v1": {
		one(1, "type", kindText), one(2, "manifest", kindBytes), one(3, "index", kindUint64),
		nestedList(4, "nodes", &revealForm), nested(5, "slice", &sliceForm), one(6, "ledgerRoot", kindBytes),
		nestedList(7, "ledgerNodes", &revealForm), one(8, "commit", kindBytes), nested(9, "chain", &chainForm),
		one(10, "staged", kindBool),
	},
	"neleus.manifest-proof.v1": {
		one(1, "type", kindText), one(2, "manifest", kindBytes), one(3, "ledgerRoot", kindBytes),
		nestedList(4, "ledgerNodes", &revealForm), one(5, "commit", kindBytes), nested(6, "chain", &chainForm),
		one(7, "staged", kindBool),
	},
	"neleus.ref-proof.v1": {
		one(1, "type", kindText), one(2, "present", kindBool), nested(3, "chain", &chainForm),
	},
	"neleus.commit-proof.v1": {
		one(1, "type", kindText), listed(2, "path", kindBytes), nested(3, "chain", &chainForm),
	},
}

func formOf(kind any) (form, error) {
	text, ok := kind.(string)
	if !ok || text == "" {
		return nil, errFailed
	}
	if known, ok := proofForms[text]; ok {
		return known, nil
	}
	return nil, errUnsupported
}

// protoName is the name in the contract, which JSON may use as well.
func (f formField) protoName() string {
	var name strings.Builder
	for _, letter := range f.name {
		if letter >= 'A' && letter <= 'Z' {
			name.WriteByte('_')
			letter += 'a' - 'A'
		}
		name.WriteRune(letter)
	}
	return name.String()
}

func readJSONProof(raw json.RawMessage) (message, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, errFailed
	}
	content, ok := value.(map[string]any)
	if !ok {
		return nil, errFailed
	}
	known, err := formOf(content["type"])
	if err != nil {
		return nil, err
	}
	return known.fromJSON(content)
}

func (f form) fromJSON(value any) (message, error) {
	content, ok := value.(map[string]any)
	if !ok {
		return nil, errFailed
	}
	read, left := message{}, len(content)
	for _, field := range f {
		given, isThere := content[field.name]
		if field.protoName() != field.name {
			if other, isOther := content[field.protoName()]; isOther {
				if isThere {
					return nil, errFailed
				}
				given, isThere = other, true
			}
		}
		if !isThere {
			continue
		}
		left--
		if given == nil {
			continue
		}
		part, err := field.fromJSON(given)
		if err != nil {
			return nil, err
		}
		read[field.name] = part
	}
	if left > 0 {
		return nil, errFailed
	}
	return read, nil
}

func (f formField) fromJSON(value any) (any, error) {
	if !f.isRepeated {
		return f.oneFromJSON(value)
	}
	elements, ok := value.([]any)
	if !ok {
		return nil, errFailed
	}
	list := []any{}
	for _, element := range elements {
		part, err := f.oneFromJSON(element)
		if err != nil {
			return nil, err
		}
		list = append(list, part)
	}
	return list, nil
}

func (f formField) oneFromJSON(value any) (any, error) {
	switch f.kind {
	case kindMessage:
		return f.form.fromJSON(value)
	case kindBool:
		if truth, ok := value.(bool); ok {
			return truth, nil
		}
	case kindText:
		if text, ok := value.(string); ok {
			return text, nil
		}
	case kindBytes:
		if text, ok := value.(string); ok {
			return fromBase64(text)
		}
	default:
		return integerFromJSON(value, f.kind)
	}
	return nil, errFailed
}

// fromBase64 reads either alphabet, padded or not.
func fromBase64(text string) ([]byte, error) {
	standard := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
	decoded, err := base64.RawStdEncoding.Strict().DecodeString(standard)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errFailed
	}
	return decoded, nil
}

func integerFromJSON(value any, kind formKind) (any, error) {
	var text string
	switch given := value.(type) {
	case string:
		text = given
	case json.Number:
		text = string(given)
	default:
		return nil, errFailed
	}
	width := 64
	if kind == kindUint32 {
		width = 32
	}
	number, err := strconv.ParseUint(text, 10, width)
	_, isNumber := value.(json.Number)
	if err != nil || (isNumber && number > maxInteger) || strconv.FormatUint(number, 10) != text {
		return nil, errFailed
	}
	return number, nil
}

type wireReader struct{ in []byte }

func (r *wireReader) varint() (uint64, error) {
	value := new(big.Int)
	for i := 0; i < 10 && i < len(r.in); i++ {
		part := new(big.Int).SetUint64(uint64(r.in[i] & 0x7f))
		value.Or(value, part.Lsh(part, uint(7*i)))
		if r.in[i] < 0x80 {
			r.in = r.in[i+1:]
			if !value.IsUint64() {
				return 0, errFailed
			}
			return value.Uint64(), nil
		}
	}
	return 0, errFailed
}

func (r *wireReader) delimited() ([]byte, error) {
	length, err := r.varint()
	if err != nil || length > uint64(len(r.in)) {
		return nil, errFailed
	}
	taken := r.in[:length]
	r.in = r.in[length:]
	return taken, nil
}

func readBinaryProof(encoded []byte) (message, error) {
	r := wireReader{encoded}
	if tag, err := r.varint(); err != nil || tag != 1<<3|2 {
		return nil, errFailed
	}
	kind, err := r.delimited()
	if err != nil {
		return nil, err
	}
	known, err := formOf(string(kind))
	if err != nil {
		return nil, err
	}
	return known.fromBinary(encoded)
}

func (f form) fromBinary(encoded []byte) (message, error) {
	read, r := message{}, wireReader{encoded}
	for len(r.in) > 0 {
		tag, err := r.varint()
		if err != nil {
			return nil, err
		}
		field, ok := f.numbered(tag >> 3)
		if !ok {
			return nil, errFailed
		}
		if err := field.readInto(read, &r, tag&7); err != nil {
			return nil, err
		}
	}
	return read, nil
}

func (f form) numbered(number uint64) (formField, bool) {
	for _, field := range f {
		if field.number == number {
			return field, true
		}
	}
	return formField{}, false
}

func (f formField) readInto(read message, r *wireReader, wireType uint64) error {
	if !f.isRepeated {
		if _, isThere := read[f.name]; isThere {
			return errFailed
		}
		value, err := f.fromWire(r, wireType)
		read[f.name] = value
		return err
	}
	list, _ := read[f.name].([]any)
	if f.kind != kindUint32 || wireType != 2 {
		value, err := f.fromWire(r, wireType)
		read[f.name] = append(list, value)
		return err
	}
	packed, err := r.delimited()
	if err != nil {
		return err
	}
	for inner := (wireReader{packed}); len(inner.in) > 0; {
		value, err := f.fromWire(&inner, 0)
		if err != nil {
			return err
		}
		list = append(list, value)
	}
	read[f.name] = list
	return nil
}

func (f formField) fromWire(r *wireReader, wireType uint64) (any, error) {
	isInteger := f.kind == kindUint32 || f.kind == kindUint64 || f.kind == kindBool
	if isInteger != (wireType == 0) || (!isInteger && wireType != 2) {
		return nil, errFailed
	}
	if isInteger {
		number, err := r.varint()
		if err != nil || (f.kind == kindUint32 && number > 1<<32-1) || (f.kind == kindBool && number > 1) {
			return nil, errFailed
		}
		if f.kind == kindBool {
			return number == 1, nil
		}
		return number, nil
	}
	content, err := r.delimited()
	if err != nil {
		return nil, err
	}
	switch f.kind {
	case kindMessage:
		return f.form.fromBinary(content)
	case kindText:
		if !utf8.Valid(content) {
			return nil, errFailed
		}
		return string(content), nil
	}
	return bytes.Clone(content), nil
}

// What a message holds, empty where it does not.

func (m message) bytes(name string) []byte { content, _ := m[name].([]byte); return content }

func (m message) text(name string) string { text, _ := m[name].(string); return text }

func (m message) number(name string) uint64 { number, _ := m[name].(uint64); return number }

func (m message) truth(name string) bool { truth, _ := m[name].(bool); return truth }

func (m message) part(name string) (message, bool) { part, ok := m[name].(message); return part, ok }

func (m message) byteList(name string) [][]byte {
	list, _ := m[name].([]any)
	contents := [][]byte{}
	for _, element := range list {
		contents = append(contents, element.([]byte))
	}
	return contents
}

func (m message) parts(name string) []message {
	list, _ := m[name].([]any)
	parts := []message{}
	for _, element := range list {
		parts = append(parts, element.(message))
	}
	return parts
}

// reveals are a witness over a map of that kind.
func (m message) reveals(name string, kind int64) *witness {
	w := witness{kind: kind}
	for _, part := range m.parts(name) {
		node := rawReveal{
			Kind: int64(part.number("kind")), Level: int64(part.number("level")), Count: int(part.number("count")),
			Total: int64(min(part.number("total"), maxInteger+1)), Entries: part.byteList("entries"),
			Siblings: part.bytes("siblings"),
		}
		indices, _ := part["indices"].([]any)
		for _, index := range indices {
			node.Indices = append(node.Indices, int(index.(uint64)))
		}
		w.raw = append(w.raw, node)
	}
	return &w
}
