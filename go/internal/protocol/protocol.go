// Package protocol turns requests and replies into the bytes that cross the network and back.
//
// A message has four layers: the body, which is the agent's; the request or reply, which says who
// and when; the secure request or reply, which proves that; the transport, which says where to. A
// version of the protocol is one codec over the structs here; docs/protocol.md describes the bytes.
//
// Whatever is decoded came from the network. It is never trusted to be well-formed or small, and no
// error repeats more of it than a few characters.
package protocol

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gofrs/uuid/v5"

	"choria.io/choria/go/filter"
)

// A Version is a protocol version. A reply always has the version of its request.
type Version int

// The protocol versions.
const (
	V1 Version = 1
	V2 Version = 2
)

// ErrVersion is in the error for messages of a version that there is no codec for.
var ErrVersion = errors.New("protocol version not supported")

// A Request is what one request says, in whatever version it travels.
type Request struct {
	Version    Version
	ID         string // 32 lower-case hexadecimal digits in v1
	Sender     string // identity of the sending machine
	Caller     string // kind=name, as in choria=rip.mcollective
	Collective string
	Agent      string

	// Time is when the request was made, TTL how long after that a node may still start it.
	// The wire holds whole seconds in v1, TTL at least 30.
	Time time.Time
	TTL  time.Duration

	Filter filter.Filter

	// Body is what the agent gets. On the wire a body may stand in base64, which receivers undo; one
	// that could be mistaken for base64 (ping, for example) is sent that way.
	Body []byte

	// Digest is the SHA-256 of the signed bytes, set by OpenRequest alone.
	Digest [sha256.Size]byte
}

// A Reply is what one node answers, in whatever version it travels.
type Reply struct {
	Version   Version
	RequestID string
	Sender    string // identity of the node
	Agent     string
	Time      time.Time
	Body      []byte
}

// A Hop is one station of a message: where it came in, who handled it, where it went out. Old
// programs write pairs, so the length varies.
type Hop []string

// Federation is the federation header of a transport.
type Federation struct {
	RequestID string
	ReplyTo   string   // the reply subject the client waits on, kept by the federation broker
	Targets   []string // subjects to deliver to
}

// A Transport is the outermost layer: routing headers around a secure request or reply.
type Transport struct {
	Version    Version
	ReplyTo    string // empty: nobody waits for replies
	Sender     string // identity of the process that published it
	Hops       []Hop
	Federation *Federation // nil: not federated
	Data       []byte      // the secure request or reply, JSON
}

// A SecureRequest is a request with what proves who made it.
type SecureRequest struct {
	Version   Version
	Message   []byte // the exact bytes the signature covers
	Signature []byte
	Cert      []byte // v1: PEM of the signing certificate and its intermediates
	Caller    string // v2: the caller's token
	Signer    string // v2: the delegated signer's token
}

// A Signer signs requests.
type Signer interface {
	// Sign returns the signature over message and the PEM certificate that verifies it.
	Sign(message []byte) (signature, cert []byte, err error)
}

// A Verifier decides whether a signed message was made by the caller it names.
type Verifier interface {
	// Verify returns why caller is not the proven maker of message. now is the clock for
	// certificate validity.
	Verify(message, signature, cert []byte, caller string, now time.Time) error
}

// A codec knows the bytes of one protocol version.
type codec interface {
	decodeHeaders(t *Transport, headers []byte) error
	appendTransport(b []byte, t *Transport) []byte
	decodeSecureRequest(data []byte) (*SecureRequest, error)
	decodeRequest(message []byte) (*Request, error)
	sealRequest(r *Request, s Signer) ([]byte, error)
	sealReply(r *Reply) ([]byte, error)
	openReply(data []byte) (*Reply, error)
}

func codecOf(v Version) (codec, error) {
	switch v {
	case V1:
		return v1{}, nil
	case V2:
		return nil, fmt.Errorf("%w: 2", ErrVersion)
	}
	return nil, fmt.Errorf("%w: %d", ErrVersion, int(v))
}

// NewID returns a fresh request id: a random UUID without its dashes.
func NewID() string {
	u := uuid.Must(uuid.NewV4())
	return hex.EncodeToString(u[:])
}

// DecodeSecureRequest decodes the Data of a transport that holds a request. It does not verify it.
func DecodeSecureRequest(t *Transport) (*SecureRequest, error) {
	c, err := codecOf(t.Version)
	if err != nil {
		return nil, err
	}
	return c.decodeSecureRequest(t.Data)
}

// DecodeRequest decodes a request that has been verified, or that need not be. The body may share
// memory with message.
func DecodeRequest(v Version, message []byte) (*Request, error) {
	c, err := codecOf(v)
	if err != nil {
		return nil, err
	}
	return c.decodeRequest(message)
}

// SealRequest encodes and signs r; the result is the Data of a transport. It may be sent to any
// number of nodes, in any number of transports.
func SealRequest(r *Request, s Signer) ([]byte, error) {
	c, err := codecOf(r.Version)
	if err != nil {
		return nil, err
	}
	return c.sealRequest(r, s)
}

// OpenRequest decodes the request in t and verifies that its caller made it. It does not look at
// the time of the request nor whether it was seen before: see Replay.
func OpenRequest(t *Transport, v Verifier, now time.Time) (*Request, error) {
	c, err := codecOf(t.Version)
	if err != nil {
		return nil, err
	}
	s, err := c.decodeSecureRequest(t.Data)
	if err != nil {
		return nil, err
	}
	r, err := c.decodeRequest(s.Message)
	if err != nil {
		return nil, err
	}
	if err := v.Verify(s.Message, s.Signature, s.Cert, r.Caller, now); err != nil {
		return nil, fmt.Errorf("request %q: %w", r.ID, err)
	}
	r.Digest = sha256.Sum256(s.Message)
	return r, nil
}

// SealReply encodes r with its hash; the result is the Data of a transport.
func SealReply(r *Reply) ([]byte, error) {
	c, err := codecOf(r.Version)
	if err != nil {
		return nil, err
	}
	return c.sealReply(r)
}

// OpenReply decodes the reply in t and checks its hash. Whether it answers a request that was made
// is for the caller to see, by RequestID. The body may share memory with t.Data.
func OpenReply(t *Transport) (*Reply, error) {
	c, err := codecOf(t.Version)
	if err != nil {
		return nil, err
	}
	return c.openReply(t.Data)
}
