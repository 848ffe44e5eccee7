package main

import (
	"bytes"
	"crypto/sha512"
	"math/big"
)

// Ed25519 by the one rule of FORMATS section 6, on big integers: decode A canonically and S < L, refuse A and R of small order,
// compute R' = [S]B − [k]A and compare its encoding with R byte for byte. Slow, and for public data alone.

func fromDecimal(text string) *big.Int {
	value, ok := new(big.Int).SetString(text, 10)
	if !ok {
		panic("no number")
	}
	return value
}

var (
	fieldPrime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	groupOrder = new(big.Int).Add(
		new(big.Int).Lsh(big.NewInt(1), 252), fromDecimal("27742317777372353535851937790883648493"))
	curveD   = product(big.NewInt(-121665), inverse(big.NewInt(121666)))
	rootOfM1 = power(big.NewInt(2), new(big.Int).Rsh(fieldPrime, 2))
	base     = mustDecode(append([]byte{0x58}, bytes.Repeat([]byte{0x66}, 31)...))
)

func modulo(a *big.Int) *big.Int { return new(big.Int).Mod(a, fieldPrime) }

func product(a, b *big.Int) *big.Int { return modulo(new(big.Int).Mul(a, b)) }

func power(a, exponent *big.Int) *big.Int { return new(big.Int).Exp(a, exponent, fieldPrime) }

func inverse(a *big.Int) *big.Int {
	return power(modulo(a), new(big.Int).Sub(fieldPrime, big.NewInt(2)))
}

// point is affine: on −x² + y² = 1 + d·x²·y².
type point struct{ x, y *big.Int }

var zeroPoint = point{big.NewInt(0), big.NewInt(1)}

func (p point) add(q point) point {
	one := big.NewInt(1)
	cross := product(curveD, product(product(p.x, q.x), product(p.y, q.y)))
	x := new(big.Int).Add(product(p.x, q.y), product(q.x, p.y))
	y := new(big.Int).Add(product(p.y, q.y), product(p.x, q.x))
	return point{
		product(x, inverse(new(big.Int).Add(one, cross))),
		product(y, inverse(new(big.Int).Sub(one, cross))),
	}
}

func (p point) times(scalar *big.Int) point {
	sum := zeroPoint
	for i := scalar.BitLen() - 1; i >= 0; i-- {
		sum = sum.add(sum)
		if scalar.Bit(i) == 1 {
			sum = sum.add(p)
		}
	}
	return sum
}

func (p point) isSmall() bool {
	multiple := p.times(big.NewInt(8))
	return multiple.x.Sign() == 0 && multiple.y.Cmp(zeroPoint.y) == 0
}

func reversed(in []byte) []byte {
	out := make([]byte, len(in))
	for i, one := range in {
		out[len(in)-1-i] = one
	}
	return out
}

func littleEndian(in []byte) *big.Int { return new(big.Int).SetBytes(reversed(in)) }

func (p point) encode() []byte {
	value := new(big.Int).Set(p.y)
	value.SetBit(value, 255, p.x.Bit(0))
	return reversed(value.FillBytes(make([]byte, 32)))
}

// decodePoint is RFC 8032 section 5.1.3, which refuses y ≥ p and a sign on x = 0.
func decodePoint(in []byte) (point, bool) {
	y := littleEndian(in)
	sign := y.Bit(255)
	y.SetBit(y, 255, 0)
	if y.Cmp(fieldPrime) >= 0 {
		return point{}, false
	}
	one := big.NewInt(1)
	ySquare := product(y, y)
	square := product(
		new(big.Int).Sub(ySquare, one), inverse(new(big.Int).Add(product(curveD, ySquare), one)))
	x := power(square, new(big.Int).Rsh(new(big.Int).Add(fieldPrime, big.NewInt(3)), 3))
	if product(x, x).Cmp(square) != 0 {
		x = product(x, rootOfM1)
	}
	if product(x, x).Cmp(square) != 0 || (x.Sign() == 0 && sign == 1) {
		return point{}, false
	}
	if x.Bit(0) != sign {
		x = new(big.Int).Sub(fieldPrime, x)
	}
	return point{x, y}, true
}

func mustDecode(in []byte) point {
	decoded, ok := decodePoint(in)
	if !ok {
		panic("no point")
	}
	return decoded
}

func isValidSignature(key, message, signature []byte) bool {
	if len(key) != 32 || len(signature) != 64 {
		return false
	}
	encodedR, s := signature[:32], littleEndian(signature[32:])
	a, ok := decodePoint(key)
	if !ok || s.Cmp(groupOrder) >= 0 || a.isSmall() {
		return false
	}
	if r, ok := decodePoint(encodedR); ok && r.isSmall() {
		return false
	}
	sum := sha512.New()
	for _, part := range [][]byte{encodedR, key, message} {
		sum.Write(part)
	}
	k := new(big.Int).Mod(littleEndian(sum.Sum(nil)), groupOrder)
	negated := point{modulo(new(big.Int).Neg(a.x)), a.y}
	return bytes.Equal(base.times(s).add(negated.times(k)).encode(), encodedR)
}

func signatureVerify(in input) (object, error) {
	valid := isValidSignature(byteString(in["key"]), byteString(in["message"]), byteString(in["signature"]))
	return object{"valid": valid}, nil
}
