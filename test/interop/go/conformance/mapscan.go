package main

import (
	"bytes"
	"encoding/hex"
)

// Ranges of a map (FORMATS section 4): every entry of one, and how many it has.

// mapRange is from … to, excluded; to is nil where the range goes to the end.
type mapRange struct {
	from, to []byte
}

func rangeOf(in input) mapRange {
	one := mapRange{from: byteString(in["from"])}
	if string(in["to"]) != "null" {
		one.to = byteString(in["to"])
	}
	return one
}

// scanner goes through a range, depth first.
type scanner struct {
	*witness
	mapRange
	// On the way down to the first key.
	steps   []step
	entries []entry
	isDone  bool
}

// visit reads a node; isEdge where the first key of the range lies in it or behind it.
func (s *scanner) visit(node reveal, isEdge bool) error {
	first := 0
	if isEdge {
		at, err := place(node, s.from)
		if err != nil {
			return err
		}
		first, s.steps = at.index, append(s.steps, at)
		if first == node.count && !showsLeft(s.steps) {
			return errIncomplete
		}
	}
	for i := first; i < node.count && !s.isDone; i++ {
		one, isShown := node.shown[i]
		if !isShown {
			return errIncomplete
		}
		isFirst := isEdge && i == first
		var err error
		if node.level > 0 {
			err = s.descend(node, i, isFirst)
		} else {
			err = s.take(one, isFirst)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) descend(node reveal, index int, isEdge bool) error {
	child, err := s.child(node, index)
	if err != nil {
		return err
	}
	return s.visit(child, isEdge)
}

func (s *scanner) take(one entry, isFirst bool) error {
	// Nothing lies between the start of the range and its first key, unless that is the start itself.
	if isFirst && !bytes.Equal(one.key, s.from) && !showsLeft(s.steps) {
		return errIncomplete
	}
	if s.to != nil && bytes.Compare(one.key, s.to) >= 0 {
		s.isDone = true
		return nil
	}
	s.entries = append(s.entries, one)
	return nil
}

func (w *witness) scan(root []byte, one mapRange) ([]entry, error) {
	node, err := w.next(root, nil, nil, -1)
	if err != nil {
		return nil, err
	}
	s := scanner{witness: w, mapRange: one}
	if err := s.visit(node, true); err != nil {
		return nil, err
	}
	return s.entries, nil
}

func mapScan(in input) (object, error) {
	w, err := witnessOf(in)
	if err != nil {
		return nil, err
	}
	entries, err := w.scan(byteString(in["root"]), rangeOf(in))
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return nil, err
	}
	shown := make([]any, len(entries))
	for i, one := range entries {
		shown[i] = []string{hex.EncodeToString(one.key), hex.EncodeToString(one.cell)}
	}
	return object{"entries": shown}, nil
}

// counter holds what shows that nothing lies left of a range.
type counter struct {
	*witness
	steps []step
}

// below counts the keys of a node from from on, below to; nil: all there are on that side.
func (c *counter) below(node reveal, from, to []byte) (int64, error) {
	if from == nil && to == nil {
		return node.total, nil
	}
	first, end := 0, node.count
	if from != nil {
		at, err := place(node, from)
		if err != nil {
			return 0, err
		}
		first, c.steps = at.index, append(c.steps, at)
	}
	if to != nil {
		at, err := place(node, to)
		if err != nil {
			return 0, err
		}
		end = at.index
	}
	for i := first; i <= end && i < node.count; i++ {
		if _, isShown := node.shown[i]; !isShown {
			return 0, errIncomplete
		}
	}
	if node.level == 0 || first == node.count {
		isStart := first < node.count && bytes.Equal(node.shown[first].key, from)
		if from != nil && !isStart && !showsLeft(c.steps) {
			return 0, errIncomplete
		}
		return int64(end - first), nil
	}
	return c.between(node, first, end, from, to)
}

// between adds up the children of a node: those on the edges are opened, those between have their totals in their entries.
func (c *counter) between(node reveal, first, end int, from, to []byte) (int64, error) {
	sum := int64(0)
	for i := first; i <= end && i < node.count; i++ {
		isLeft, isRight := from != nil && i == first, to != nil && i == end
		if !isLeft && !isRight {
			sum += node.shown[i].total
			continue
		}
		var low, high []byte
		if isLeft {
			low = from
		}
		if isRight {
			high = to
		}
		child, err := c.child(node, i)
		if err != nil {
			return 0, err
		}
		part, err := c.below(child, low, high)
		if err != nil {
			return 0, err
		}
		sum += part
	}
	return sum, nil
}

func mapCount(in input) (object, error) {
	w, err := witnessOf(in)
	if err != nil {
		return nil, err
	}
	one := rangeOf(in)
	node, err := w.next(byteString(in["root"]), nil, nil, -1)
	if err != nil {
		return nil, err
	}
	if len(one.from) == 0 {
		one.from = nil
	}
	c := counter{witness: w}
	sum, err := c.below(node, one.from, one.to)
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return nil, err
	}
	return object{"count": sum}, nil
}
