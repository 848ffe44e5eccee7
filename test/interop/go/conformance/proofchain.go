package main

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
)

// The chain of a proof (FORMATS sections 7 and 11): checkpoint, newest leaf, refs, commit. Its checkpoints are signed by nobody
// here: that is held against a reader's key in anchors.go.

const maxCosigned = 16

// checkpoint is what a note of a log says.
type checkpoint struct {
	note, origin string
	tree
}

func parseCheckpointNote(encoded string) (checkpoint, error) {
	text, _, err := parseNote(encoded)
	if err != nil {
		return checkpoint{}, err
	}
	said, err := parseCheckpointText(text)
	said.note = encoded
	return said, err
}

// chain is one whose parts fit together.
type chain struct {
	claimed     checkpoint
	consistency [][]byte
	cosigned    []message
	isTag       bool
	name        string
	// Whether there is anything of that name.
	isPresent bool
	// The bytes and content of its commit; nil where it has none.
	encoded []byte
	commit  *stored
	// What is staged there: state root and ledger root; nil for a tag.
	staged [][]byte
}

// broken is what an error of a format is in a proof.
func broken(err error) error {
	if errors.Is(err, errMalformed) {
		return errFailed
	}
	return err
}

func checkChain(snapshot message) (*chain, error) {
	log, ok := snapshot.part("log")
	if !ok {
		return nil, errFailed
	}
	claimed, err := parseCheckpointNote(log.text("checkpoint"))
	if err != nil {
		return nil, broken(err)
	}
	leaf := log.bytes("leaf")
	if claimed.size == 0 || len(leaf) > maxLeafBytes {
		return nil, errFailed
	}
	if err := verifyInclusion(claimed.size-1, claimed.tree, leaf, log.byteList("inclusion")); err != nil {
		return nil, err
	}
	opened, err := decodeLeaf(leaf, int64(claimed.size-1))
	if err != nil {
		return nil, broken(err)
	}
	c := chain{claimed: claimed, consistency: log.byteList("consistency"), cosigned: snapshot.parts("cosigned")}
	if err := c.checkCosigned(); err != nil {
		return nil, err
	}
	c.isTag = snapshot.text("tag") != ""
	c.name = snapshot.text("head")
	if c.isTag {
		c.name = snapshot.text("tag")
	}
	if (c.isTag && snapshot.text("head") != "") || !isName(c.name) {
		return nil, errFailed
	}
	return &c, c.readRefs(snapshot, opened.root)
}

// checkCosigned holds each checkpoint that is said to be cosigned against the chain's.
func (c *chain) checkCosigned() error {
	if len(c.cosigned) > maxCosigned {
		return errFailed
	}
	for _, one := range c.cosigned {
		part, err := parseCheckpointNote(one.text("note"))
		if err != nil {
			return broken(err)
		}
		if part.origin != c.claimed.origin || part.size == 0 || part.size > c.claimed.size {
			return errFailed
		}
		if err := verifyConsistency(part.tree, c.claimed.tree, one.byteList("consistency")); err != nil {
			return err
		}
	}
	return nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)

func isName(name string) bool {
	for _, part := range strings.Split(name, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return len(name) <= 128 && nameForm.MatchString(name)
}

func (c *chain) readRefs(snapshot message, root []byte) error {
	keys := [][]byte{[]byte("heads/" + c.name), []byte("states/" + c.name)}
	if c.isTag {
		keys = [][]byte{[]byte("tags/" + c.name)}
	}
	w := snapshot.reveals("refs", 4)
	cells, err := w.getMany(root, keys)
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return err
	}
	if !c.isTag && cells[1] != nil {
		staged, err := decodeCell("staged", cells[1])
		if err != nil {
			return errFailed
		}
		c.isPresent, c.staged = true, [][]byte{staged[0].([]byte), staged[1].([]byte)}
	} else if !c.isTag && cells[0] != nil {
		// A head has what is staged on it.
		return errFailed
	}
	c.encoded = snapshot.bytes("commit")
	if cells[0] == nil {
		// A proof of what is not there may still hold bytes: what they are is for the proof's own rules to say.
		if c.isPresent && len(c.encoded) > 0 {
			return errFailed
		}
		return nil
	}
	c.isPresent = true
	named, err := decodeCell("commit", cells[0])
	if err != nil {
		return errFailed
	}
	c.commit, err = decodeNamed(c.encoded, named[0].([]byte))
	return err
}

// decodeNamed is the commit of a hash.
func decodeNamed(encoded, hash []byte) (*stored, error) {
	if sum := taggedHash("commit:", encoded); !bytes.Equal(sum[:], hash) {
		return nil, errFailed
	}
	commit, err := decodeObject("commit:", encoded)
	return &commit, broken(err)
}
