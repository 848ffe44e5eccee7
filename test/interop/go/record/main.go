// Command record makes test/vectors/record.json: sealed records, rows, files and wrapped keys as docs/FORMATS.md §8 has them,
// written from that page with Go's own cryptography. Prints the JSON; run it in test/interop/go:
//
//	go run ./record > ../../vectors/record.json
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"

	"golang.org/x/crypto/chacha20poly1305"
)

const segmentBytes = 64 * 1024

func check[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func aead(algorithm string, key []byte) cipher.AEAD {
	if algorithm == "aes-256-gcm" {
		return check(cipher.NewGCM(check(aes.NewCipher(key))))
	}
	return check(chacha20poly1305.New(key))
}

func place(space string, name []byte) []byte {
	return append(append([]byte(space), 0), name...)
}

type dataKey struct {
	id        uint32
	algorithm string
	key       []byte
}

func seal(key dataKey, associated, salt, plaintext []byte) []byte {
	subkey := check(hkdf.Key(sha256.New, key.key, salt, "neleus record v1"+key.algorithm, 32))
	sealer := aead(key.algorithm, subkey)
	record := binary.BigEndian.AppendUint32([]byte{1}, key.id)
	record = append(record, salt...)
	for index := uint64(0); ; index++ {
		last := len(plaintext) <= segmentBytes
		part := plaintext
		if !last {
			part = plaintext[:segmentBytes]
		}
		plaintext = plaintext[len(part):]
		nonce := append(make([]byte, 3), binary.BigEndian.AppendUint64(nil, index)...)
		if last {
			nonce = append(nonce, 1)
		} else {
			nonce = append(nonce, 0)
		}
		record = sealer.Seal(record, nonce, part, associated)
		if last {
			return record
		}
	}
}

func filled(first byte, count int) []byte {
	bytes := make([]byte, count)
	for index := range bytes {
		bytes[index] = first + byte(index%251)
	}
	return bytes
}

func nameOf(nameKey []byte, space string, key []byte) []byte {
	mac := hmac.New(sha256.New, nameKey)
	mac.Write(place(space, key))
	return mac.Sum(nil)
}

type object = map[string]any

func main() {
	nameKey := filled(0x40, 32)
	master := filled(0x10, 32)
	keys := []dataKey{
		{1, "aes-256-gcm", filled(0x20, 32)},
		{7, "chacha20-poly1305", filled(0x30, 32)},
	}
	toHex := hex.EncodeToString
	var records, rows, files, wrapped []object
	for _, key := range keys {
		for _, size := range []int{0, 1, 100, segmentBytes, segmentBytes + 1, 2 * segmentBytes, 2*segmentBytes + 5} {
			salt := filled(byte(size), 32)
			record := seal(key, place("nodes", filled(1, 32)), salt, filled(3, size))
			entry := object{"id": key.id, "algorithm": key.algorithm, "key": toHex(key.key), "space": "nodes",
				"name": toHex(filled(1, 32)), "salt": toHex(salt), "plaintext_bytes": size, "plaintext_first": 3}
			// Long ones by their hash.
			if size <= 100 {
				entry["record"] = toHex(record)
			} else {
				sum := sha256.Sum256(record)
				entry["record_sha256"] = toHex(sum[:])
			}
			records = append(records, entry)
		}
		rowKey, value, salt := filled(0x77, 32), filled(9, 60), filled(0x55, 32)
		name := nameOf(nameKey, "objects", rowKey)
		plaintext := append(binary.BigEndian.AppendUint16(nil, uint16(len(rowKey))), rowKey...)
		rows = append(rows, object{"id": key.id, "algorithm": key.algorithm, "key": toHex(key.key), "name_key": toHex(nameKey),
			"space": "objects", "row_key": toHex(rowKey), "value": toHex(value), "name": toHex(name),
			"salt": toHex(salt), "stored": toHex(seal(key, place("objects", name), salt, append(plaintext, value...)))})
		hash, content := filled(0x66, 32), filled(5, 200)
		contentSalt, labelSalt := filled(0x31, 32), filled(0x32, 32)
		blobName := nameOf(nameKey, "blobs", hash)
		label := append(append(append([]byte{}, hash...), contentSalt...), binary.BigEndian.AppendUint64(nil, 200)...)
		file := append(seal(key, place("blobs", blobName), labelSalt, label), seal(key, place("content", nil), contentSalt, content)...)
		files = append(files, object{"id": key.id, "algorithm": key.algorithm, "key": toHex(key.key), "name_key": toHex(nameKey),
			"hash": toHex(hash), "content": toHex(content), "name": toHex(blobName), "file": toHex(file)})
		wrapping := dataKey{0, key.algorithm, check(pbkdf2.Key(sha256.New, "correct horse", master, 100_000, 32))}
		base64Of := base64.StdEncoding.EncodeToString
		dataPlace := place("config", []byte("data-key/7/"+key.algorithm))
		wrapped = append(wrapped, object{"password": "correct horse", "data_key": toHex(key.key), "name_key": toHex(nameKey),
			"encryption": object{"enabled": true, "algorithm": key.algorithm, "kdf": "pbkdf2-hmac-sha256", "kdf_iterations": 100_000,
				"master_salt": toHex(master),
				"name_key":    base64Of(seal(wrapping, place("config", []byte("name-key")), filled(0x21, 32), nameKey)),
				"data_keys": []object{{"id": 7, "algorithm": key.algorithm,
					"key": base64Of(seal(wrapping, dataPlace, filled(0x22, 32), key.key))}}}})
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(object{"records": records, "rows": rows, "files": files, "wrapped_keys": wrapped}); err != nil {
		panic(err)
	}
}
