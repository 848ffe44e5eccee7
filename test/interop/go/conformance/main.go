// Command conformance answers the conformance kit (test/conformance/README.md) in Go: a second implementation, written from
// docs/FORMATS.md, that shares nothing with the library. Hashing, encoding, the map with its proofs of keys, ranges and
// counts, slices of blobs, objects, signatures, the log and whole proof files are its own or those of golang.org/x/mod; what it
// leaves out it says is unsupported.
//
//	go build -o runner ./conformance && node tools/conformance.js -- ./runner
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// The codes of the protocol that this program answers with.
var (
	errMalformed   = errors.New("MALFORMED")
	errUnsupported = errors.New("UNSUPPORTED")
	errFailed      = errors.New("VERIFICATION_FAILED")
	errIncomplete  = errors.New("INCOMPLETE_PROOF")
	errNotAnchored = errors.New("NOT_ANCHORED")
	errNewEpoch    = errors.New("NEW_EPOCH")
	errForked      = errors.New("FORKED")
	errInvalid     = errors.New("INVALID_ARGUMENT")
)

type input map[string]json.RawMessage

type question struct {
	ID        string `json:"id"`
	Operation string `json:"operation"`
	Input     input  `json:"input"`
}

type object map[string]any

var operations = map[string]func(input) (object, error){
	"hash":               hashOf,
	"codec.decode":       codecDecode,
	"codec.encode":       codecEncode,
	"map.root":           mapRoot,
	"map.get":            mapGet,
	"map.get-many":       mapGetMany,
	"map.scan":           mapScan,
	"map.count":          mapCount,
	"blob.slice":         blobSlice,
	"blob.slices":        blobSlices,
	"object.decode":      objectDecode,
	"object.signatures":  objectSignatures,
	"object.ledger-keys": objectLedgerKeys,
	"cell.decode":        cellDecode,
	"epoch.follow":       epochFollow,
	"proof.verify":       proofVerify,
	"signature.verify":   signatureVerify,
	"log.leaf":           logLeaf,
	"log.root":           logRoot,
	"log.inclusion":      logInclusion,
	"log.consistency":    logConsistency,
	"log.tile":           logTile,
	"log.tile-path":      logTilePath,
	"key.parse":          keyParse,
	"note.verify":        noteVerify,
	"checkpoint.verify":  checkpointVerify,
	"checkpoint.parse":   checkpointParse,
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, "not a question:", err)
			os.Exit(1)
		}
		if err := out.Encode(answer(q)); err != nil {
			os.Exit(1)
		}
	}
}

func answer(q question) object {
	run, ok := operations[q.Operation]
	if !ok {
		return object{"id": q.ID, "unsupported": true}
	}
	output, err := run(q.Input)
	switch {
	case err == nil:
		return object{"id": q.ID, "ok": true, "output": output}
	case errors.Is(err, errMalformed), errors.Is(err, errUnsupported), errors.Is(err, errFailed),
		errors.Is(err, errIncomplete), errors.Is(err, errNotAnchored), errors.Is(err, errNewEpoch),
		errors.Is(err, errForked), errors.Is(err, errInvalid):
		return object{"id": q.ID, "error": err.Error()}
	default:
		// A fault of this program is no verdict.
		return object{"id": q.ID, "fault": err.Error()}
	}
}

// field decodes a member of an input. The kit always holds what its README says, so a failure is this program's fault.
func field[T any](in input, name string) T {
	var value T
	if err := json.Unmarshal(in[name], &value); err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	return value
}

// byteString reads hex, a name of bytes, or a list of such.
func byteString(raw json.RawMessage) []byte {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		decoded, err := hex.DecodeString(text)
		if err != nil {
			panic(err)
		}
		return decoded
	}
	var parts []json.RawMessage
	if json.Unmarshal(raw, &parts) == nil {
		var joined []byte
		for _, one := range parts {
			joined = append(joined, byteString(one)...)
		}
		return joined
	}
	var filler struct {
		Pattern [2]int            `json:"pattern"`
		Repeat  []json.RawMessage `json:"repeat"`
		Flip    *int              `json:"flip"`
	}
	if err := json.Unmarshal(raw, &filler); err != nil {
		panic(err)
	}
	if len(filler.Repeat) == 2 {
		var times int
		if err := json.Unmarshal(filler.Repeat[1], &times); err != nil {
			panic(err)
		}
		return bytes.Repeat(byteString(filler.Repeat[0]), times)
	}
	content := make([]byte, filler.Pattern[1]-filler.Pattern[0])
	for i := range content {
		content[i] = byte((filler.Pattern[0] + i) % 251)
	}
	if filler.Flip != nil {
		content[*filler.Flip] ^= 1
	}
	return content
}

func byteStrings(raw json.RawMessage) [][]byte {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		panic(err)
	}
	decoded := make([][]byte, len(list))
	for i, one := range list {
		decoded[i] = byteString(one)
	}
	return decoded
}

func hashOf(in input) (object, error) {
	sum := taggedHash(field[string](in, "tag"), byteString(in["bytes"]))
	return object{"hash": hex.EncodeToString(sum[:])}, nil
}
