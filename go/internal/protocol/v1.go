package protocol

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"choria.io/choria/go/internal/jsonscan"
)

// v1 is the codec of protocol version 1.
type v1 struct{}

// The values of the member protocol of what is inside a transport.
const (
	v1SecureRequest = "choria:secure:request:1"
	v1SecureReply   = "choria:secure:reply:1"
	v1Request       = "choria:request:1"
	v1Reply         = "choria:reply:1"
)

const (
	v1IDLength = 32            // characters
	v1MinTTL   = 30            // seconds
	v1MaxTTL   = math.MaxInt32 // seconds, 68 years; a time.Duration holds 292
	second     = int64(time.Second)
)

var v1Headers = headerNames{
	protocol:   v1Transport,
	headers:    []string{"reply-to", "mc_sender", "seen-by", "federation"},
	federation: []string{"req", "reply-to", "target"},
}

func (v1) decodeHeaders(t *Transport, headers []byte) error { return v1Headers.decode(t, headers) }

func (v1) appendTransport(b []byte, t *Transport) []byte {
	b = append(b, `{"protocol":"`+v1Transport+`","data":`...)
	b = appendBase64(b, t.Data)
	return append(v1Headers.append(append(b, `,"headers":`...), t), '}')
}

var v1SecureRequestMembers = []string{"protocol", "message", "signature", "pubcert"}

func (v1) decodeSecureRequest(data []byte) (*SecureRequest, error) {
	var protocol []byte
	r := &SecureRequest{Version: V1}
	err := object(data, v1SecureRequestMembers, 4, func(s *jsonscan.Scanner, i int) error {
		text, err := s.Bytes()
		if err != nil {
			return err
		}
		if len(text) == 0 {
			return errors.New("empty")
		}
		switch i {
		case 0:
			protocol = text
		case 1:
			r.Message = text
		case 2:
			r.Signature, err = decodeBase64(text)
		case 3:
			r.Cert = text
		}
		return err
	})
	if err == nil && string(protocol) != v1SecureRequest {
		err = fmt.Errorf("protocol is %.40q", protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("secure request: %w", err)
	}
	return r, nil
}

var (
	v1RequestMembers  = []string{"protocol", "message", "envelope"}
	v1EnvelopeMembers = []string{"requestid", "senderid", "callerid", "collective", "agent", "ttl", "time", "filter"}
)

func (v1) decodeRequest(message []byte) (*Request, error) {
	var protocol []byte
	r := &Request{Version: V1}
	err := object(message, v1RequestMembers, 3, func(s *jsonscan.Scanner, i int) (err error) {
		switch i {
		case 0:
			protocol, err = s.Bytes()
		case 1:
			r.Body, err = s.Bytes()
			if err == nil && len(r.Body) == 0 {
				err = errors.New("empty")
			}
			r.Body = v1Body(r.Body)
		case 2:
			err = scanObject(s, v1EnvelopeMembers, 8, func(s *jsonscan.Scanner, i int) error {
				return v1ScanEnvelope(s, i, r)
			})
		}
		return err
	})
	if err == nil && string(protocol) != v1Request {
		err = fmt.Errorf("protocol is %.40q", protocol)
	}
	if err == nil {
		err = v1Validate(r)
	}
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return r, nil
}

// v1ScanEnvelope reads the value of v1EnvelopeMembers[i].
func v1ScanEnvelope(s *jsonscan.Scanner, i int, r *Request) (err error) {
	switch i {
	case 0:
		r.ID, err = s.String()
	case 1:
		r.Sender, err = s.String()
	case 2:
		r.Caller, err = s.String()
	case 3:
		r.Collective, err = s.String()
	case 4:
		r.Agent, err = s.String()
	case 5:
		var ttl int64
		if ttl, err = s.Int(); err == nil && ttl > v1MaxTTL {
			err = fmt.Errorf("%d seconds, more than %d", ttl, int64(v1MaxTTL))
		}
		r.TTL = time.Duration(max(0, min(ttl, v1MaxTTL)) * second)
	case 6:
		var unix int64
		unix, err = s.Int()
		r.Time = time.Unix(unix, 0)
	case 7:
		var text []byte
		if text, err = s.Raw(); err == nil {
			err = r.Filter.UnmarshalJSON(text)
		}
	}
	return err
}

// v1Validate holds what a request says against what all receivers demand.
func v1Validate(r *Request) error {
	switch {
	case utf8.RuneCountInString(r.ID) != v1IDLength:
		return fmt.Errorf("the id %.40q has not %d characters", r.ID, v1IDLength)
	case r.Caller == "":
		return errors.New("the caller is empty")
	case r.Collective == "":
		return errors.New("the collective is empty")
	case r.Agent == "":
		return errors.New("the agent is empty")
	case r.TTL < v1MinTTL*time.Second:
		return fmt.Errorf("the ttl is %v, less than %d s", r.TTL, v1MinTTL)
	}
	return nil
}

// v1Body returns the body that text stands for: what it is in base64, else itself.
func v1Body(text []byte) []byte {
	if !maybeBase64(text) {
		return text
	}
	if body, err := decodeBase64(text); err == nil {
		return body
	}
	return text
}

// maybeBase64 reports whether the first character of text can begin base64. It saves decoding the
// bodies that begin with a brace, which are nearly all.
func maybeBase64(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	c := text[0]
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/' || c == '\r' || c == '\n'
}

// v1AppendBody appends body as the message of a request so that v1Body returns it again.
func v1AppendBody(b, body []byte) []byte {
	if !utf8.Valid(body) {
		return appendBase64(b, body)
	}
	if maybeBase64(body) {
		if _, err := decodeBase64(body); err == nil {
			return appendBase64(b, body)
		}
	}
	return jsonscan.AppendString(b, body)
}

func (v1) sealRequest(r *Request, s Signer) ([]byte, error) {
	if err := v1Validate(r); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if len(r.Body) == 0 {
		return nil, errors.New("request: the body is empty")
	}
	filter, err := r.Filter.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	b := make([]byte, 0, 320+len(filter)+len(r.Body)*3/2+len(r.Sender)+len(r.Caller))
	b = append(b, `{"protocol":"`+v1Request+`","message":`...)
	b = v1AppendBody(b, r.Body)
	b = append(b, `,"envelope":{"requestid":`...)
	b = jsonscan.AppendString(b, r.ID)
	b = append(b, `,"senderid":`...)
	b = jsonscan.AppendString(b, r.Sender)
	b = append(b, `,"callerid":`...)
	b = jsonscan.AppendString(b, r.Caller)
	b = append(b, `,"collective":`...)
	b = jsonscan.AppendString(b, r.Collective)
	b = append(b, `,"agent":`...)
	b = jsonscan.AppendString(b, r.Agent)
	b = append(b, `,"ttl":`...)
	b = strconv.AppendInt(b, (int64(r.TTL)+second-1)/second, 10)
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, r.Time.Unix(), 10)
	b = append(b, `,"filter":`...)
	b = append(b, filter...)
	message := append(b, "}}"...)

	signature, cert, err := s.Sign(message)
	if err != nil {
		return nil, fmt.Errorf("sign request: %w", err)
	}
	b = make([]byte, 0, 128+len(message)*3/2+base64.StdEncoding.EncodedLen(len(signature))+len(cert)*11/10)
	b = append(b, `{"protocol":"`+v1SecureRequest+`","message":`...)
	b = jsonscan.AppendString(b, message)
	b = append(b, `,"signature":`...)
	b = appendBase64(b, signature)
	b = append(b, `,"pubcert":`...)
	b = jsonscan.AppendString(b, cert)
	return append(b, '}'), nil
}
