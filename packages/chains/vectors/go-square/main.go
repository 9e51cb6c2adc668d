// Writes share commitments and blob transactions as go-square makes them, one JSON array on standard output.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"

	"github.com/celestiaorg/go-square/v3/inclusion"
	"github.com/celestiaorg/go-square/v3/share"
	"github.com/celestiaorg/go-square/v3/tx"
)

// The hash of RFC 6962 over leaves, as CometBFT's merkle.HashFromByteSlices.
func merkleRoot(leaves [][]byte) []byte {
	switch n := len(leaves); n {
	case 0:
		sum := sha256.Sum256(nil)
		return sum[:]
	case 1:
		sum := sha256.Sum256(append([]byte{0}, leaves[0]...))
		return sum[:]
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		node := append([]byte{1}, merkleRoot(leaves[:k])...)
		sum := sha256.Sum256(append(node, merkleRoot(leaves[k:])...))
		return sum[:]
	}
}

// Bytes that a reader can make again: a linear congruential generator over its seed, the high byte of each state.
func fill(seed uint32, length int) []byte {
	out := make([]byte, length)
	state := seed
	for i := range out {
		state = state*1664525 + 1013904223
		out[i] = byte(state >> 24)
	}
	return out
}

type row struct {
	Namespace  string `json:"namespace"`
	Seed       uint32 `json:"seed"`
	Size       int    `json:"size"`
	Version    uint8  `json:"share_version"`
	Signer     string `json:"signer,omitempty"`
	Commitment string `json:"commitment"`
	BlobTx     string `json:"blob_tx,omitempty"`
}

func main() {
	b64 := base64.StdEncoding.EncodeToString
	sizes := []int{1, 2, 100, 457, 458, 459, 477, 478, 479, 480, 959, 960, 961, 962, 1000, 4096, 10000, 30000,
		30847, 30848, 30849, 31325, 31326, 31327, 62172, 62174, 65536, 123456, 262144, 500000, 1000000, 1973786}
	var rows []row
	seed := uint32(1)
	for _, size := range sizes {
		for version := uint8(0); version < 2; version++ {
			ns := share.MustNewV0Namespace(fill(seed+7, 10))
			var signer []byte
			if version == 1 {
				signer = fill(seed+9, 20)
			}
			blob, err := share.NewBlob(ns, fill(seed, size), version, signer)
			if err != nil {
				panic(err)
			}
			commitment, err := inclusion.CreateCommitment(blob, merkleRoot, 64)
			if err != nil {
				panic(err)
			}
			r := row{b64(ns.Bytes()), seed, size, version, "", b64(commitment), ""}
			if version == 1 {
				r.Signer = b64(signer)
			}
			if size <= 1000 {
				bytes, err := tx.MarshalBlobTx([]byte("any transaction"), blob)
				if err != nil {
					panic(err)
				}
				r.BlobTx = b64(bytes)
			}
			rows = append(rows, r)
			seed++
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(rows); err != nil {
		panic(err)
	}
}
