// Writes messages of the Cosmos SDK as its own libraries encode them, protobuf and legacy amino JSON, to amino.json, and what
// is signed of whole transactions to documents.json. Both are given in the protobuf JSON mapping, in messages.json and
// transactions.json.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"

	_ "cosmossdk.io/api/cosmos/authz/v1beta1"
	_ "cosmossdk.io/api/cosmos/bank/v1beta1"
	_ "cosmossdk.io/api/cosmos/crypto/multisig"
	_ "cosmossdk.io/api/cosmos/crypto/secp256k1"
	_ "cosmossdk.io/api/cosmos/distribution/v1beta1"
	_ "cosmossdk.io/api/cosmos/feegrant/v1beta1"
	_ "cosmossdk.io/api/cosmos/gov/v1"
	_ "cosmossdk.io/api/cosmos/gov/v1beta1"
	_ "cosmossdk.io/api/cosmos/staking/v1beta1"
	txv1beta1 "cosmossdk.io/api/cosmos/tx/v1beta1"
	"cosmossdk.io/x/tx/signing"
	"cosmossdk.io/x/tx/signing/aminojson"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

type row struct {
	TypeURL string `json:"type_url"`
	Value   string `json:"value"`
	Amino   string `json:"amino"`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

type transaction struct {
	Body     json.RawMessage `json:"body"`
	AuthInfo json.RawMessage `json:"auth_info"`
	ChainID  string          `json:"chain_id"`
	Account  uint64          `json:"account_number"`
	Signer   string          `json:"signer"`
}

type document struct {
	SignDoc string `json:"sign_doc"`
	Amino   string `json:"amino"`
}

func main() {
	messages()
	documents()
}

func read(name string, into any) {
	if err := json.Unmarshal(must(os.ReadFile(name)), into); err != nil {
		panic(err)
	}
}

func write(name string, rows any) {
	file := must(os.Create(name))
	out := json.NewEncoder(file)
	out.SetEscapeHTML(false)
	out.SetIndent("", " ")
	if err := out.Encode(rows); err != nil {
		panic(err)
	}
}

func marshal(message proto.Message) []byte {
	return must(proto.MarshalOptions{Deterministic: true}.Marshal(message))
}

func messages() {
	var given []json.RawMessage
	read("messages.json", &given)
	encoder := aminojson.NewEncoder(aminojson.EncoderOptions{})
	var rows []row
	for _, one := range given {
		wrapped := &anypb.Any{}
		if err := protojson.Unmarshal(one, wrapped); err != nil {
			panic(string(one) + err.Error())
		}
		value := marshal(must(wrapped.UnmarshalNew()))
		amino := must(encoder.Marshal(wrapped))
		rows = append(rows, row{wrapped.TypeUrl, base64.StdEncoding.EncodeToString(value), string(amino)})
	}
	write("amino.json", rows)
}

func documents() {
	var given []transaction
	read("transactions.json", &given)
	handler := aminojson.NewSignModeHandler(aminojson.SignModeHandlerOptions{})
	var rows []document
	for _, one := range given {
		body, auth := &txv1beta1.TxBody{}, &txv1beta1.AuthInfo{}
		if err := protojson.Unmarshal(one.Body, body); err != nil {
			panic(err)
		}
		if err := protojson.Unmarshal(one.AuthInfo, auth); err != nil {
			panic(err)
		}
		signer := signing.SignerData{
			Address: one.Signer, ChainID: one.ChainID, AccountNumber: one.Account, Sequence: auth.SignerInfos[0].Sequence,
		}
		data := signing.TxData{Body: body, AuthInfo: auth, BodyBytes: marshal(body), AuthInfoBytes: marshal(auth)}
		amino := must(handler.GetSignBytes(context.Background(), signer, data))
		doc := marshal(&txv1beta1.SignDoc{
			BodyBytes: data.BodyBytes, AuthInfoBytes: data.AuthInfoBytes, ChainId: one.ChainID, AccountNumber: one.Account,
		})
		rows = append(rows, document{base64.StdEncoding.EncodeToString(doc), string(amino)})
	}
	write("documents.json", rows)
}
