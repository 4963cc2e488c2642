package protocol

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"choria.io/choria/go/internal/jsonscan"
)

func (v1) sealReply(r *Reply) ([]byte, error) {
	switch {
	case r.RequestID == "":
		return nil, errors.New("reply: the request id is empty")
	case r.Sender == "":
		return nil, errors.New("reply: the sender is empty")
	case len(r.Body) == 0:
		return nil, errors.New("reply: the body is empty")
	}
	b := make([]byte, 0, 200+len(r.Body)*3/2+len(r.RequestID)+len(r.Sender)+len(r.Agent))
	b = append(b, `{"protocol":"`+v1Reply+`","message":`...)
	b = jsonscan.AppendString(b, r.Body)
	b = append(b, `,"envelope":{"requestid":`...)
	b = jsonscan.AppendString(b, r.RequestID)
	b = append(b, `,"senderid":`...)
	b = jsonscan.AppendString(b, r.Sender)
	b = append(b, `,"agent":`...)
	b = jsonscan.AppendString(b, r.Agent)
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, r.Time.Unix(), 10)
	message := append(b, "}}"...)

	sum := sha256.Sum256(message)
	b = make([]byte, 0, 128+len(message)*3/2)
	b = append(b, `{"protocol":"`+v1SecureReply+`","message":`...)
	b = jsonscan.AppendString(b, message)
	b = append(b, `,"hash":`...)
	b = appendBase64(b, sum[:])
	return append(b, '}'), nil
}

var (
	v1SecureReplyMembers   = []string{"protocol", "message", "hash"}
	v1ReplyMembers         = []string{"protocol", "message", "envelope"}
	v1ReplyEnvelopeMembers = []string{"requestid", "senderid", "agent", "time"}
)

func (v1) openReply(data []byte) (*Reply, error) {
	var protocol, message, hash []byte
	err := object(data, v1SecureReplyMembers, 3, func(s *jsonscan.Scanner, i int) (err error) {
		switch i {
		case 0:
			protocol, err = s.Bytes()
		case 1:
			message, err = s.Bytes()
		case 2:
			hash, err = s.Bytes()
		}
		return err
	})
	if err == nil && string(protocol) != v1SecureReply {
		err = fmt.Errorf("protocol is %.40q", protocol)
	}
	if err == nil {
		err = v1CheckHash(message, hash)
	}
	if err != nil {
		return nil, fmt.Errorf("secure reply: %w", err)
	}
	r := &Reply{Version: V1}
	err = object(message, v1ReplyMembers, 3, func(s *jsonscan.Scanner, i int) (err error) {
		switch i {
		case 0:
			protocol, err = s.Bytes()
		case 1:
			r.Body, err = s.Bytes()
		case 2:
			err = scanObject(s, v1ReplyEnvelopeMembers, 4, func(s *jsonscan.Scanner, i int) error {
				return v1ScanReplyEnvelope(s, i, r)
			})
		}
		return err
	})
	if err == nil && string(protocol) != v1Reply {
		err = fmt.Errorf("protocol is %.40q", protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("reply: %w", err)
	}
	return r, nil
}

// v1CheckHash compares message with its SHA-256 in base64.
func v1CheckHash(message, hash []byte) error {
	want, err := decodeBase64(hash)
	if err != nil {
		return fmt.Errorf("hash: %w", err)
	}
	got := sha256.Sum256(message)
	if !bytes.Equal(want, got[:]) {
		return errors.New("hash: not that of the message")
	}
	return nil
}

// v1ScanReplyEnvelope reads the value of v1ReplyEnvelopeMembers[i].
func v1ScanReplyEnvelope(s *jsonscan.Scanner, i int, r *Reply) (err error) {
	switch i {
	case 0:
		r.RequestID, err = s.String()
	case 1:
		r.Sender, err = s.String()
	case 2:
		r.Agent, err = s.String()
	case 3:
		var unix int64
		unix, err = s.Int()
		r.Time = time.Unix(unix, 0)
	}
	return err
}
