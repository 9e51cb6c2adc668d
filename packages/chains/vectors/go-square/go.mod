module vectors

go 1.24.0

require github.com/celestiaorg/go-square/v3 v3.0.2

require (
	github.com/celestiaorg/nmt v0.24.2 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	golang.org/x/exp v0.0.0-20250911091902-df9299821621 // indirect
	golang.org/x/sync v0.17.0 // indirect
	google.golang.org/protobuf v1.36.9 // indirect
)
