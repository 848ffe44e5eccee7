package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"sort"
	"strconv"
	"unicode/utf8"
)

// Strict DAG-CBOR (FORMATS section 2). A value is nil, bool, int64, float64, string, []byte, []any or map[string]any.

const (
	maxDepth       = 32
	maxObjectBytes = 1 << 20
	maxInteger     = 1<<53 - 1
)

type reader struct {
	in []byte
}

func decodeCBOR(in []byte) (any, error) {
	if len(in) > maxObjectBytes {
		return nil, errMalformed
	}
	r := reader{in}
	value, err := r.value(0)
	if err != nil || len(r.in) > 0 {
		return nil, errMalformed
	}
	return value, nil
}

func (r *reader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.in)) {
		return nil, errMalformed
	}
	taken := r.in[:n]
	r.in = r.in[n:]
	return taken, nil
}

// head reads a major type and its argument in the shortest form.
func (r *reader) head() (major byte, info byte, argument uint64, err error) {
	first, err := r.take(1)
	if err != nil {
		return 0, 0, 0, err
	}
	major, info = first[0]>>5, first[0]&31
	if info < 24 {
		return major, info, uint64(info), nil
	}
	if info > 27 {
		return 0, 0, 0, errMalformed
	}
	width := uint64(1) << (info - 24)
	digits, err := r.take(width)
	if err != nil {
		return 0, 0, 0, err
	}
	for _, digit := range digits {
		argument = argument<<8 | uint64(digit)
	}
	least := []uint64{24, 1 << 8, 1 << 16, 1 << 32}[info-24]
	if major != 7 && argument < least {
		return 0, 0, 0, errMalformed
	}
	return major, info, argument, nil
}

func (r *reader) value(depth int) (any, error) {
	major, info, argument, err := r.head()
	if err != nil {
		return nil, err
	}
	switch major {
	case 0, 1:
		if argument > maxInteger-uint64(major) {
			return nil, errMalformed
		}
		if major == 1 {
			return -1 - int64(argument), nil
		}
		return int64(argument), nil
	case 2:
		content, err := r.take(argument)
		return bytes.Clone(content), err
	case 3:
		content, err := r.take(argument)
		if err != nil || !utf8.Valid(content) {
			return nil, errMalformed
		}
		return string(content), nil
	case 4, 5:
		if depth == maxDepth {
			return nil, errMalformed
		}
		if major == 4 {
			return r.list(argument, depth+1)
		}
		return r.object(argument, depth+1)
	case 7:
		return simple(info, argument)
	}
	return nil, errMalformed
}

func simple(info byte, argument uint64) (any, error) {
	switch info {
	case 20, 21:
		return info == 21, nil
	case 22:
		return nil, nil
	case 27:
		number := math.Float64frombits(argument)
		if math.IsNaN(number) || math.IsInf(number, 0) || number == math.Trunc(number) {
			return nil, errMalformed
		}
		return number, nil
	}
	return nil, errMalformed
}

func (r *reader) list(count uint64, depth int) (any, error) {
	list := []any{}
	for ; count > 0; count-- {
		value, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, nil
}

func (r *reader) object(count uint64, depth int) (any, error) {
	members := map[string]any{}
	last, isFirst := "", true
	for ; count > 0; count-- {
		if len(r.in) == 0 || r.in[0]>>5 != 3 {
			return nil, errMalformed
		}
		name, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		text := name.(string)
		if !isFirst && !comesBefore(last, text) {
			return nil, errMalformed
		}
		last, isFirst = text, false
		if members[text], err = r.value(depth); err != nil {
			return nil, err
		}
	}
	return members, nil
}

// comesBefore orders keys by length, then bytes.
func comesBefore(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

func encodeHead(major byte, argument uint64) []byte {
	switch {
	case argument < 24:
		return []byte{major<<5 | byte(argument)}
	case argument < 1<<8:
		return []byte{major<<5 | 24, byte(argument)}
	case argument < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{major<<5 | 25}, uint16(argument))
	case argument < 1<<32:
		return binary.BigEndian.AppendUint32([]byte{major<<5 | 26}, uint32(argument))
	}
	return binary.BigEndian.AppendUint64([]byte{major<<5 | 27}, argument)
}

func encodeCBOR(value any) []byte {
	switch v := value.(type) {
	case nil:
		return []byte{0xf6}
	case bool:
		if v {
			return []byte{0xf5}
		}
		return []byte{0xf4}
	case int:
		return encodeCBOR(int64(v))
	case int64:
		if v < 0 {
			return encodeHead(1, uint64(-1-v))
		}
		return encodeHead(0, uint64(v))
	case float64:
		return binary.BigEndian.AppendUint64([]byte{0xfb}, math.Float64bits(v))
	case []byte:
		return append(encodeHead(2, uint64(len(v))), v...)
	case string:
		return append(encodeHead(3, uint64(len(v))), v...)
	case []any:
		out := encodeHead(4, uint64(len(v)))
		for _, one := range v {
			out = append(out, encodeCBOR(one)...)
		}
		return out
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Slice(names, func(i, j int) bool { return comesBefore(names[i], names[j]) })
		out := encodeHead(5, uint64(len(v)))
		for _, name := range names {
			out = append(out, encodeCBOR(name)...)
			out = append(out, encodeCBOR(v[name])...)
		}
		return out
	}
	panic("no value of CBOR")
}

// toNotation writes byte strings as {"bytes": hex}.
func toNotation(value any) any {
	switch v := value.(type) {
	case []byte:
		return object{"bytes": hex.EncodeToString(v)}
	case []any:
		list := make([]any, len(v))
		for i, one := range v {
			list[i] = toNotation(one)
		}
		return list
	case map[string]any:
		members := object{}
		for name, one := range v {
			members[name] = toNotation(one)
		}
		return members
	}
	return value
}

func fromNotation(value any) any {
	switch v := value.(type) {
	case json.Number:
		if integer, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return integer
		}
		number, err := v.Float64()
		if err != nil {
			panic(err)
		}
		return number
	case []any:
		for i := range v {
			v[i] = fromNotation(v[i])
		}
		return v
	case map[string]any:
		if text, ok := v["bytes"].(string); ok && len(v) == 1 {
			content, err := hex.DecodeString(text)
			if err != nil {
				panic(err)
			}
			return content
		}
		for name := range v {
			v[name] = fromNotation(v[name])
		}
		return v
	}
	return value
}

func codecDecode(in input) (object, error) {
	value, err := decodeCBOR(byteString(in["bytes"]))
	if err != nil {
		return nil, err
	}
	return object{"value": toNotation(value)}, nil
}

func codecEncode(in input) (object, error) {
	decoder := json.NewDecoder(bytes.NewReader(in["value"]))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return object{"bytes": hex.EncodeToString(encodeCBOR(fromNotation(value)))}, nil
}
