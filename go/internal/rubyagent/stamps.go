package rubyagent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"

	"choria.io/choria/go/internal/hotload"
)

// maxStamps bounds how many files a fingerprint looks at.
const maxStamps = 20000

// stamps make one text of the stamps of many files.
type stamps struct {
	sum hash.Hash
	n   int
}

func newStamps() *stamps { return &stamps{sum: sha256.New()} }

func (s *stamps) more() bool { return s.n < maxStamps }

func (s *stamps) add(path string) {
	s.n++
	fmt.Fprintf(s.sum, "%s %s\n", path, hotload.StampOf(path))
}

func (s *stamps) String() string { return hex.EncodeToString(s.sum.Sum(nil)) }
