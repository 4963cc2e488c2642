package adapter

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"choria.io/choria/go/internal/jsonscan"
)

// A Message is what is published about one message of a node.
type Message struct {
	// ID is the same for the same message however often it is published, by whichever process of
	// adapters of one name. It is made of printable characters without spaces.
	ID string

	Sender string // identity of the machine that sent it: letters, digits and _ . -
	Data   []byte // JSON
}

// size returns how much room m takes.
func (m *Message) size() int64 { return int64(len(m.ID) + len(m.Sender) + len(m.Data) + 64) }

// A Sink keeps messages. Its methods may be called concurrently.
type Sink interface {
	// Publish hands messages over, and reports of each what became of it: nil when the sink has it for
	// good. An error that wraps ErrRefused says that this message will never be taken; any other that
	// it is worth another attempt, which the sink has to recognize by the ID.
	Publish(ctx context.Context, batch []Message) []error

	// Close ends what holds connections.
	Close() error
}

// ErrRefused says that a sink will never take a message.
var ErrRefused = errors.New("refused")

// What a document says it is. Source: protocol section 13.
const (
	streamsProtocol = "choria:adapters:choria_streams:output:1"
	stanProtocol    = "choria:adapters:natsstream:output:1"
)

// newMessage describes one message: its body, and the SHA-256 of what is proven of it. The ID has the
// name of the adapter, since two of them may publish to one stream.
func newMessage(adapter, protocol, sender, request string, made time.Time, body []byte, digest [sha256.Size]byte) Message {
	const rest = 192 // more than all but the body has, as a rule
	b := make([]byte, 0, rest+len(body)*9/8)
	b = append(b, `{"protocol":`...)
	b = jsonscan.AppendString(b, cmp.Or(protocol, streamsProtocol))
	b = append(b, `,"data":`...)
	b = jsonscan.AppendString(b, body)
	b = append(b, `,"sender":`...)
	b = jsonscan.AppendString(b, sender)
	b = append(b, `,"time":"`...)
	b = made.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","requestid":`...)
	b = jsonscan.AppendString(b, request)
	return Message{ID: adapter + "." + request + "." + sender + "." + hex.EncodeToString(digest[:8]), Sender: sender, Data: append(b, '}')}
}

// encode appends m as it stands in a spill.
func (m *Message) encode(b []byte) []byte {
	for _, s := range []string{m.ID, m.Sender} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return append(b, m.Data...)
}

var errRecord = errors.New("not a message")

// decodeMessage is the reverse of encode. The result shares memory with b.
func decodeMessage(b []byte) (m Message, err error) {
	for _, s := range []*string{&m.ID, &m.Sender} {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return Message{}, errRecord
		}
		*s = string(b[used : used+int(n)])
		b = b[used+int(n):]
	}
	m.Data = b
	return m, nil
}

// A deadLetter is what is published about a message that is not carried.
type deadLetter struct {
	Protocol string    `json:"protocol"`
	Adapter  string    `json:"adapter"`
	Subject  string    `json:"subject,omitempty"` // that it came on
	Kind     string    `json:"kind"`              // the label reason of the metric
	Reason   string    `json:"reason"`
	Time     time.Time `json:"time"`
	Size     int       `json:"size"`
	Payload  []byte    `json:"payload,omitempty"` // base64; missing when it is larger than maxDeadPayload
}

const (
	deadProtocol = "choria:adapters:dead_letter:1"

	// maxDeadPayload is how much of a payload, in base64, is sure to fit into a message of 1 MiB.
	maxDeadPayload = 700 << 10
)
