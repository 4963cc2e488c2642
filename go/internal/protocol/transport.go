package protocol

import (
	"encoding/base64"
	"errors"
	"fmt"

	"choria.io/choria/go/internal/jsonscan"
)

// Bounds of a transport.
const (
	// MaxTransport is the largest payload that is decoded, in bytes. Brokers carry 1 MiB unless told
	// otherwise.
	MaxTransport = 16 << 20

	maxHops    = 256  // stations
	maxHopText = 16   // names in one
	maxTargets = 1000 // clients put 200 into one message
)

// The values of the member protocol of a transport.
const (
	v1Transport = "choria:transport:1"
	v2Transport = "io.choria.protocol.v2.transport"
)

var transportMembers = []string{"protocol", "data", "headers"}

// DecodeTransport decodes the payload of a broker message. The version of a message is what the
// member protocol of its transport says, and nothing else.
func DecodeTransport(payload []byte) (*Transport, error) {
	t := &Transport{}
	data, headers, err := scanTransport(t, payload, (*jsonscan.Scanner).Bytes)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	c, err := codecOf(t.Version)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	if len(data) == 0 {
		return nil, errors.New("transport: no data")
	}
	if t.Data, err = decodeBase64(data); err != nil {
		return nil, fmt.Errorf("transport: data: %w", err)
	}
	if headers != nil {
		if err := c.decodeHeaders(t, headers); err != nil {
			return nil, fmt.Errorf("transport: headers: %w", err)
		}
	}
	return t, nil
}

// scanTransport finds the parts of a transport, and sets the version of t. headers is nil when there
// are none. The value of the member data is read by read.
func scanTransport(t *Transport, payload []byte, read func(*jsonscan.Scanner) ([]byte, error)) (data, headers []byte, err error) {
	if len(payload) > MaxTransport {
		return nil, nil, fmt.Errorf("%d bytes, more than %d", len(payload), MaxTransport)
	}
	var protocol []byte
	s := jsonscan.New(payload)
	seen, err := s.Object(transportMembers, func(i int) (err error) {
		switch i {
		case 0:
			protocol, err = s.Bytes()
		case 1:
			data, err = read(&s)
		case 2:
			if !s.Null() {
				headers, err = s.Raw()
			}
		}
		return err
	})
	if err == nil {
		err = s.End()
	}
	if err != nil {
		return nil, nil, err
	}
	if seen&1 == 0 {
		return nil, nil, errors.New(`no member "protocol"`)
	}
	switch string(protocol) {
	case v1Transport:
		t.Version = V1
	case v2Transport:
		t.Version = V2
	default:
		return nil, nil, fmt.Errorf("%w: %.40q", ErrVersion, protocol)
	}
	return data, headers, nil
}

// Encode returns t as the payload of a broker message.
func (t *Transport) Encode() ([]byte, error) {
	c, err := codecOf(t.Version)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	if len(t.Data) == 0 {
		return nil, errors.New("transport: no data")
	}
	return c.appendTransport(make([]byte, 0, t.size(base64.StdEncoding.EncodedLen(len(t.Data)))), t), nil
}

// size returns how many bytes t has when it is encoded, as a rule, with data bytes of data.
func (t *Transport) size(data int) int {
	size := 256 + data + len(t.ReplyTo) + len(t.Sender)
	for _, hop := range t.Hops {
		for _, text := range hop {
			size += len(text) + 4
		}
	}
	if f := t.Federation; f != nil {
		size += 64 + len(f.RequestID) + len(f.ReplyTo)
		for _, target := range f.Targets {
			size += len(target) + 4
		}
	}
	return size
}

// decodeBase64 decodes text, in which line breaks do not count. The result is never nil.
func decodeBase64(text []byte) ([]byte, error) {
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(out, text)
	if err != nil {
		return nil, err
	}
	return out[:n], nil
}

// appendBase64 appends data as a JSON string.
func appendBase64(b, data []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}

// scanText reads a string; null stands for none.
func scanText(s *jsonscan.Scanner, to *string) (err error) {
	if !s.Null() {
		*to, err = s.String()
	}
	return err
}

// scanHops reads an array of arrays of strings.
func scanHops(s *jsonscan.Scanner) (hops []Hop, err error) {
	if s.Null() {
		return nil, nil
	}
	err = s.Array(func() error {
		if len(hops) == maxHops {
			return fmt.Errorf("more than %d", maxHops)
		}
		hop, err := scanTexts(s, maxHopText)
		hops = append(hops, hop)
		return err
	})
	return hops, err
}

// scanTexts reads an array of at most limit strings.
func scanTexts(s *jsonscan.Scanner, limit int) (list []string, err error) {
	if s.Null() {
		return nil, nil
	}
	err = s.Array(func() error {
		if len(list) == limit {
			return fmt.Errorf("more than %d", limit)
		}
		if list == nil {
			list = make([]string, 0, 3) // what a hop has
		}
		text, err := s.String()
		list = append(list, text)
		return err
	})
	return list, err
}

// object reads the one object that data holds, and reports the first of its members that must be
// there and is not.
func object(data []byte, members []string, required int, member func(s *jsonscan.Scanner, i int) error) error {
	s := jsonscan.New(data)
	if err := scanObject(&s, members, required, member); err != nil {
		return err
	}
	return s.End()
}

// scanObject is object for one that others follow. The first so many of members are required.
func scanObject(s *jsonscan.Scanner, members []string, required int, member func(s *jsonscan.Scanner, i int) error) error {
	seen, err := s.Object(members, func(i int) error { return member(s, i) })
	if err != nil {
		return err
	}
	for i, name := range members[:required] {
		if seen&(1<<i) == 0 {
			return fmt.Errorf("no member %q", name)
		}
	}
	return nil
}
