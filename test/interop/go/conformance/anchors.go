package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"sort"
)

// What a reader trusts already, and a proof is held against: a digest, the log's key, a checkpoint, witnesses (FORMATS section 7,
// C2SP tlog-cosignature).

// How far a witness's clock may be ahead of the reader's.
const clockToleranceMs = 10_000

type anchors struct {
	VerifierKey, Checkpoint, Root *string
	Witnesses                     *policy
	NowMs                         float64
}

type policy struct {
	Keys     []string
	Required *float64
	MaxAgeMs *float64
}

func anchorsOf(in input) anchors {
	var given anchors
	if err := json.Unmarshal(in["anchors"], &given); err != nil {
		panic(err)
	}
	return given
}

// A host is a DNS name in lower case.
var originForm = regexp.MustCompile(
	`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*/([0-9a-f]{32})/[1-9][0-9]{0,15}$`)

// hold gives the verdict.
func (a anchors) hold(proof *checked) (string, error) {
	var key *verifierKey
	if a.VerifierKey != nil {
		parsed, err := parseKey(*a.VerifierKey)
		if err != nil || !originForm.MatchString(parsed.name) {
			return "", errInvalid
		}
		key = &parsed
	}
	witnesses, err := a.Witnesses.parse()
	if err != nil || (witnesses != nil && key == nil) {
		return "", errInvalid
	}
	isShown := false
	if a.Root != nil {
		root, err := hex.DecodeString(*a.Root)
		if err != nil || len(root) != 32 {
			return "", errInvalid
		}
		for _, hold := range proof.holds {
			isShown = isShown || bytes.Equal(hold, root)
		}
		if !isShown {
			return "", errFailed
		}
	}
	if proof.chain != nil {
		isAnchored, err := a.holdChain(proof.chain, key, witnesses)
		if err != nil {
			return "", err
		}
		isShown = isShown || isAnchored
	} else if witnesses != nil {
		return "", errIncomplete
	}
	if isShown {
		return "shown", nil
	}
	return "not anchored", nil
}

func (a anchors) holdChain(c *chain, key *verifierKey, witnesses []witnessKey) (bool, error) {
	if key != nil {
		if err := requireSigned(c.claimed, *key); err != nil {
			return false, err
		}
		for _, one := range c.cosigned {
			part, err := parseCheckpointNote(one.text("note"))
			if err != nil {
				return false, broken(err)
			}
			if err := requireSigned(part, *key); err != nil {
				return false, err
			}
		}
	}
	if witnesses != nil {
		if err := a.requireCosigned(c, witnesses); err != nil {
			return false, err
		}
	}
	if a.Checkpoint == nil {
		return key != nil, nil
	}
	isSameTree, err := a.compare(c, key)
	return key != nil || isSameTree, err
}

// requireSigned wants a checkpoint of the log of a key.
func requireSigned(said checkpoint, key verifierKey) error {
	if said.origin != key.name {
		theirs, ours := originForm.FindStringSubmatch(said.origin), originForm.FindStringSubmatch(key.name)
		if theirs != nil && ours != nil && theirs[1] == ours[1] {
			return errNewEpoch
		}
		return errFailed
	}
	_, _, err := openNote(said.note, []verifierKey{key})
	return broken(err)
}

// compare holds the chain against a checkpoint of the reader's own: true where both are of one tree. That a log extends it shows
// nothing by itself: anybody can extend a log.
func (a anchors) compare(c *chain, key *verifierKey) (bool, error) {
	own, err := parseCheckpointNote(*a.Checkpoint)
	if err != nil || (key != nil && requireSigned(own, *key) != nil) {
		return false, errInvalid
	}
	if own.origin != c.claimed.origin {
		return false, errFailed
	}
	if own.size == c.claimed.size {
		if !bytes.Equal(own.root, c.claimed.root) {
			return false, errForked
		}
		return true, nil
	}
	if own.size < c.claimed.size && verifyConsistency(own.tree, c.claimed.tree, c.consistency) != nil {
		return false, errIncomplete
	}
	return false, nil
}

type witnessKey struct{ verifierKey }

// parse reads the keys of witnesses; nil where none are asked for.
func (p *policy) parse() ([]witnessKey, error) {
	if p == nil {
		return nil, nil
	}
	var witnesses []witnessKey
	seen := map[string]bool{}
	for _, text := range p.Keys {
		key, err := parseWitnessKey(text)
		if err != nil || seen[string(key.key)] {
			return nil, errInvalid
		}
		// A cosignature does not name its witness: under a second name one would count for two.
		seen[string(key.key)] = true
		witnesses = append(witnesses, key)
	}
	required := p.required()
	isWhole := required == math.Trunc(required)
	if len(witnesses) == 0 || len(witnesses) > maxCosigned || !isWhole || required < 1 || required > float64(len(witnesses)) {
		return nil, errInvalid
	}
	return witnesses, nil
}

func (p *policy) required() float64 {
	if p.Required == nil {
		return float64(len(p.Keys))
	}
	return *p.Required
}

func parseWitnessKey(text string) (witnessKey, error) {
	parts := keyForm.FindStringSubmatch(text)
	if parts == nil || !isKeyName(parts[1]) {
		return witnessKey{}, errMalformed
	}
	material, err := base64.StdEncoding.Strict().DecodeString(parts[3])
	if err != nil || len(material) != 33 || material[0] != 4 {
		return witnessKey{}, errMalformed
	}
	sum := sha256.Sum256(append([]byte(parts[1]+"\n"), material...))
	if hex.EncodeToString(sum[:4]) != parts[2] {
		return witnessKey{}, errMalformed
	}
	if at, ok := decodePoint(material[1:]); !ok || at.isSmall() {
		return witnessKey{}, errMalformed
	}
	return witnessKey{verifierKey{parts[1], parts[2], material[1:]}}, nil
}

var errAbsent = errors.New("no line of that witness")

// time is when a witness has cosigned a note, by its newest valid line; errAbsent where there is no line of it.
func (w witnessKey) time(note string) (float64, error) {
	text, signatures, err := parseNote(note)
	if err != nil {
		return 0, broken(err)
	}
	newest, lines := -1.0, 0
	for _, signature := range signatures {
		// Four lines of one witness are looked at.
		if signature.name != w.name || signature.id != w.id || lines == 4 {
			continue
		}
		lines++
		if len(signature.value) != 72 {
			continue
		}
		seconds := binary.BigEndian.Uint64(signature.value)
		signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, text)
		if seconds < 1<<43 && isValidSignature(w.key, []byte(signed), signature.value[8:]) {
			newest = max(newest, float64(seconds)*1000)
		}
	}
	if lines == 0 {
		return 0, errAbsent
	}
	if newest < 0 {
		return 0, errFailed
	}
	return newest, nil
}

// requireCosigned wants enough witnesses who have cosigned the log, and lately enough.
func (a anchors) requireCosigned(c *chain, witnesses []witnessKey) error {
	sizes := map[string]uint64{}
	times := map[string]float64{}
	for _, one := range c.cosigned {
		part, err := parseCheckpointNote(one.text("note"))
		if err != nil {
			return broken(err)
		}
		for _, witness := range witnesses {
			time, err := witness.time(part.note)
			if errors.Is(err, errAbsent) {
				continue
			}
			if err != nil {
				return err
			}
			// What it says of the largest log counts; a time to come would be recent for as long as somebody likes.
			if time <= a.NowMs+clockToleranceMs && part.size > sizes[witness.name] {
				sizes[witness.name], times[witness.name] = part.size, time
			}
		}
	}
	var ages []float64
	for _, time := range times {
		ages = append(ages, a.NowMs-time)
	}
	sort.Float64s(ages)
	required, most := int(a.Witnesses.required()), math.Inf(1)
	if a.Witnesses.MaxAgeMs != nil {
		most = *a.Witnesses.MaxAgeMs
	}
	if len(ages) < required || ages[required-1] > most {
		return errIncomplete
	}
	return nil
}
