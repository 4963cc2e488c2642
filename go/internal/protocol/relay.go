package protocol

import (
	"errors"
	"fmt"

	"choria.io/choria/go/internal/jsonscan"
)

// A Relay is a message on its way through a federation broker, of any version: its headers may be
// changed, its data is passed on byte for byte and is not even decoded.
type Relay struct {
	Transport        // Data is nil
	data      []byte // the member data as it stands in the payload: a JSON string
}

// v2Headers is what version 2 calls the headers.
var v2Headers = headerNames{
	protocol:   v2Transport,
	headers:    []string{"reply", "sender", "trace", "federation"},
	federation: []string{"request", "reply", "targets"},
}

// names returns what the version of r calls the headers.
func (r *Relay) names() *headerNames {
	if r.Version == V2 {
		return &v2Headers
	}
	return &v1Headers
}

// DecodeRelay decodes the payload of a broker message for passing it on. The result shares memory
// with payload.
func DecodeRelay(payload []byte) (*Relay, error) {
	r := &Relay{}
	data, headers, err := scanTransport(&r.Transport, payload, func(s *jsonscan.Scanner) ([]byte, error) {
		if s.Kind() != '"' {
			return nil, errors.New("want a string")
		}
		return s.Raw()
	})
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	if r.data = data; len(data) <= len(`""`) {
		return nil, errors.New("transport: no data")
	}
	if headers != nil {
		if err := r.names().decode(&r.Transport, headers); err != nil {
			return nil, fmt.Errorf("transport: headers: %w", err)
		}
	}
	return r, nil
}

// Encode returns r as the payload of a broker message.
func (r *Relay) Encode() []byte {
	n := r.names()
	b := make([]byte, 0, r.size(len(r.data)))
	b = append(b, `{"protocol":"`...)
	b = append(b, n.protocol...)
	b = append(b, `","data":`...)
	b = append(b, r.data...)
	return append(n.append(append(b, `,"headers":`...), &r.Transport), '}')
}
