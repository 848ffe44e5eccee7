// Package interop holds neleus against verifiers that others wrote: what it signs, proves and exports must pass in them
// unchanged, and must not pass once it is altered.
//
// The fixture is made by test/interop/go.test.ts, which runs this: NELEUS_FIXTURE names its folder.
package interop

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type fixture struct {
	VerifierKey string `json:"verifierKey"`
	OtherKey    string `json:"otherKey"`
	Checkpoint  string `json:"checkpoint"`
	WitnessKey  string `json:"witnessKey"`
	Cosigned    string `json:"cosigned"`
	Inclusion   []struct {
		Index int64    `json:"index"`
		Leaf  string   `json:"leaf"`
		Proof []string `json:"proof"`
	} `json:"inclusion"`
	Consistency []struct {
		From     int64    `json:"from"`
		FromRoot string   `json:"fromRoot"`
		Proof    []string `json:"proof"`
	} `json:"consistency"`
}

func folder(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("NELEUS_FIXTURE")
	if dir == "" {
		t.Fatal("NELEUS_FIXTURE is not set: run npm run test:interop")
	}
	return dir
}

func read(t *testing.T) fixture {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder(t), "fixture.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f fixture
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func hashes(t *testing.T, texts []string) [][]byte {
	t.Helper()
	list := make([][]byte, len(texts))
	for i, text := range texts {
		list[i] = unhex(t, text)
	}
	return list
}

func treeHashes(t *testing.T, texts []string) []tlog.Hash {
	t.Helper()
	list := make([]tlog.Hash, len(texts))
	for i, hash := range hashes(t, texts) {
		copy(list[i][:], hash)
	}
	return list
}

// checkpoint opens the fixture's checkpoint with both libraries, and answers with what it says.
func checkpoint(t *testing.T, f fixture) *log.Checkpoint {
	t.Helper()
	verifier, err := note.NewVerifier(f.VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _, opened, err := log.ParseCheckpoint([]byte(f.Checkpoint), verifier.Name(), verifier)
	if err != nil {
		t.Fatal(err)
	}
	if len(opened.Sigs) != 1 || len(opened.UnverifiedSigs) != 0 {
		t.Fatalf("%d signatures verified, %d not", len(opened.Sigs), len(opened.UnverifiedSigs))
	}
	return parsed
}

func TestCheckpointIsASignedNote(t *testing.T) {
	f := read(t)
	said := checkpoint(t, f)
	if said.Size < 513 {
		t.Fatalf("a log of %d leaves has no second full tile: that tests little", said.Size)
	}
	verifier, err := note.NewVerifier(f.VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	other, err := note.NewVerifier(f.OtherKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open([]byte(f.Checkpoint), note.VerifierList(other)); err == nil {
		t.Fatal("opened by another key")
	}
	// The last characters may carry bits that this decoder of base64 does not look at.
	for i := range []byte(f.Checkpoint)[:len(f.Checkpoint)-4] {
		altered := []byte(f.Checkpoint)
		altered[i] ^= 1
		if _, _, _, err := log.ParseCheckpoint(altered, verifier.Name(), verifier); err == nil {
			t.Fatalf("opened with byte %d altered", i)
		}
	}
}

func TestInclusionProofs(t *testing.T) {
	f := read(t)
	said := checkpoint(t, f)
	var root tlog.Hash
	copy(root[:], said.Hash)
	for _, p := range f.Inclusion {
		leaf := unhex(t, p.Leaf)
		if err := tlog.CheckRecord(treeHashes(t, p.Proof), int64(said.Size), root, p.Index, tlog.RecordHash(leaf)); err != nil {
			t.Errorf("tlog, leaf %d: %v", p.Index, err)
		}
		leafHash := rfc6962.DefaultHasher.HashLeaf(leaf)
		verify := func(proofHashes [][]byte) error {
			return proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.Index), said.Size, leafHash, proofHashes, said.Hash)
		}
		if err := verify(hashes(t, p.Proof)); err != nil {
			t.Errorf("merkle, leaf %d: %v", p.Index, err)
		}
		for i := range p.Proof {
			altered := hashes(t, p.Proof)
			altered[i][0] ^= 1
			if verify(altered) == nil {
				t.Errorf("leaf %d passes with hash %d altered", p.Index, i)
			}
		}
	}
}

func TestConsistencyProofs(t *testing.T) {
	f := read(t)
	said := checkpoint(t, f)
	var root tlog.Hash
	copy(root[:], said.Hash)
	for _, p := range f.Consistency {
		var fromRoot tlog.Hash
		copy(fromRoot[:], unhex(t, p.FromRoot))
		if err := tlog.CheckTree(treeHashes(t, p.Proof), int64(said.Size), root, p.From, fromRoot); err != nil {
			t.Errorf("tlog, from %d: %v", p.From, err)
		}
		verify := func(proofHashes [][]byte) error {
			return proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(p.From), said.Size, proofHashes, fromRoot[:], said.Hash)
		}
		if err := verify(hashes(t, p.Proof)); err != nil {
			t.Errorf("merkle, from %d: %v", p.From, err)
		}
		for i := range p.Proof {
			altered := hashes(t, p.Proof)
			altered[i][31] ^= 0x80
			if verify(altered) == nil {
				t.Errorf("from %d passes with hash %d altered", p.From, i)
			}
		}
	}
}

// tiles reads the exported folder as tlog's own client would, by the paths of C2SP tlog-tiles.
type tiles struct{ dir string }

func (tiles) Height() int                         { return 8 }
func (tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (r tiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(list))
	for i, tile := range list {
		bytes, err := os.ReadFile(filepath.Join(r.dir, tilePath(fmt.Sprint(tile.L), tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		data[i] = bytes
	}
	return data, nil
}

func tilePath(level string, number int64, width int) string {
	name := fmt.Sprintf("%03d", number%1000)
	for number >= 1000 {
		number /= 1000
		name = fmt.Sprintf("x%03d/%s", number%1000, name)
	}
	path := "tile/" + level + "/" + name
	if width < 256 {
		path += fmt.Sprintf(".p/%d", width)
	}
	return path
}

func TestExportedTiles(t *testing.T) {
	f := read(t)
	dir := filepath.Join(folder(t), "log")
	exported, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	if string(exported) != f.Checkpoint {
		t.Fatal("the exported checkpoint is another one")
	}
	said := checkpoint(t, f)
	tree := tlog.Tree{N: int64(said.Size)}
	copy(tree.Hash[:], said.Hash)
	// The reader holds every tile against the root before it uses a hash of it.
	reader := tlog.TileHashReader(tree, tiles{dir})
	for index := int64(0); index < tree.N; index++ {
		found, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			t.Fatal(err)
		}
		if got := tlog.RecordHash(leafAt(t, dir, tree.N, index)); got != found[0] {
			t.Fatalf("leaf %d of the bundle is not the one of the tile", index)
		}
	}
	proved, err := tlog.ProveRecord(tree.N, f.Inclusion[1].Index, reader)
	if err != nil {
		t.Fatal(err)
	}
	for i, hash := range treeHashes(t, f.Inclusion[1].Proof) {
		if proved[i] != hash {
			t.Fatalf("hash %d of a proof made from the tiles is not the one served", i)
		}
	}
}

// leafAt reads a leaf out of its entry bundle: two bytes of length, big-endian, before each.
func leafAt(t *testing.T, dir string, size, index int64) []byte {
	t.Helper()
	number, width := index/256, 256
	if rest := size - number*256; rest < 256 {
		width = int(rest)
	}
	bundle, err := os.ReadFile(filepath.Join(dir, tilePath("entries", number, width)))
	if err != nil {
		t.Fatal(err)
	}
	entries := bytes.NewBuffer(bundle)
	for place := int64(0); ; place++ {
		leaf := entries.Next(int(binary.BigEndian.Uint16(entries.Next(2))))
		if place == index%256 {
			return leaf
		}
	}
}

func TestRootOfAllLeaves(t *testing.T) {
	f := read(t)
	said := checkpoint(t, f)
	dir := filepath.Join(folder(t), "log")
	var root func(from, to int64) [sha256.Size]byte
	root = func(from, to int64) [sha256.Size]byte {
		if to-from == 1 {
			return sha256.Sum256(append([]byte{0}, leafAt(t, dir, int64(said.Size), from)...))
		}
		split := int64(1)
		for split*2 < to-from {
			split *= 2
		}
		left, right := root(from, from+split), root(from+split, to)
		return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
	}
	if got := root(0, int64(said.Size)); !bytes.Equal(got[:], said.Hash) {
		t.Fatal("the leaves do not lead to the root")
	}
}

// TestCosignatures opens a checkpoint that a witness of ours cosigned, and cosigns one with a key of its own, for us.
func TestCosignatures(t *testing.T) {
	f := read(t)
	verifier, err := note.NewVerifier(f.VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	witness, err := fnote.NewVerifierForCosignatureV1(f.WitnessKey)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := note.Open([]byte(f.Cosigned), note.VerifierList(verifier, witness))
	if err != nil {
		t.Fatal(err)
	}
	if len(opened.Sigs) != 2 || len(opened.UnverifiedSigs) != 0 {
		t.Fatalf("%d signatures verified, %d not", len(opened.Sigs), len(opened.UnverifiedSigs))
	}
	line := opened.Sigs[1].Base64
	altered := strings.Replace(f.Cosigned, line, line[:40]+strings.Repeat("A", 20)+line[60:], 1)
	if _, err := note.Open([]byte(altered), note.VerifierList(verifier, witness)); err == nil {
		t.Fatal("opened with a cosignature altered")
	}

	skey, vkey, err := note.GenerateKey(rand.Reader, "witness.example/go")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := note.Open([]byte(f.Checkpoint), note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	cosigned, err := note.Sign(unsigned, signer)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := fnote.VKeyToCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	made, err := json.Marshal(map[string]string{"key": ours, "note": string(cosigned)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder(t), "cosigned-in-go.json"), made, 0o600); err != nil {
		t.Fatal(err)
	}
}
