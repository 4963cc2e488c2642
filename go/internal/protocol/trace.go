package protocol

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Tracing rides on ordinary messages, so that programs that know nothing of it carry and answer
// them as any other: a request is traced when its reply subject ends in .trace. Federation brokers
// and nodes that do know publish what becomes of it to that subject, as replies travel, and the
// client tells those from the reply by their protocol.
const (
	traceSuffix   = ".trace"
	traceProtocol = "choria:trace:1"

	maxTraceText = 512 // characters of each text that is read
)

// TracedSubject returns the reply subject that makes the request whose reply subject is reply a
// traced one.
func TracedSubject(reply string) string { return reply + traceSuffix }

// Traced reports whether requests with that reply subject are traced.
func Traced(reply string) bool {
	if !strings.HasSuffix(reply, traceSuffix) {
		return false
	}
	_, rest, _ := strings.Cut(reply, ".")
	return strings.HasPrefix(rest, "reply.")
}

// What became of a traced request at one station.
const (
	TraceDelivered = "delivered" // published to where the next station listens
	TraceAbsent    = "absent"    // the same, but the broker says that nobody listens there
	TraceDropped   = "dropped"   // not passed on, or not run: Reason says why
	TraceReceived  = "received"  // arrived at the node, which answers it
)

// A Trace is what one station says about a traced request. Like a reply to a discovery it is not
// signed: it is for people who look for a fault, and nothing is decided by it.
type Trace struct {
	RequestID string    `json:"request"`
	Component string    `json:"component"` // federation or server
	Identity  string    `json:"identity"`
	Cluster   string    `json:"cluster,omitempty"` // the name that a federation broker serves
	Event     string    `json:"event"`
	Subject   string    `json:"subject,omitempty"` // where the request went from here
	Reason    string    `json:"reason,omitempty"`
	Time      time.Time `json:"time"`
}

// Encode returns t in a transport of version v, as the payload of a broker message. hops are those
// of the request so far. federation is nil on the way of an ordinary reply, and that of the request
// on a node.
func (t *Trace) Encode(v Version, hops []Hop, federation *Federation) ([]byte, error) {
	text, err := json.Marshal(struct {
		Protocol string `json:"protocol"`
		*Trace
	}{traceProtocol, t})
	if err != nil {
		return nil, err
	}
	r := Relay{Transport: Transport{Version: v, Sender: t.Identity, Hops: hops, Federation: federation}}
	r.data = appendBase64(make([]byte, 0, base64.StdEncoding.EncodedLen(len(text))+2), text)
	return r.Encode(), nil
}

// errNoTrace is returned for what is something else, a reply for example.
var errNoTrace = errors.New("no trace event")

// DecodeTrace returns what the data of a transport says about a traced request.
func DecodeTrace(data []byte) (*Trace, error) {
	var t struct {
		Protocol string `json:"protocol"`
		Trace
	}
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if t.Protocol != traceProtocol {
		return nil, errNoTrace
	}
	for _, text := range []string{t.RequestID, t.Component, t.Identity, t.Cluster, t.Event, t.Subject, t.Reason} {
		if len(text) > maxTraceText {
			return nil, fmt.Errorf("trace: a text of %d characters, more than %d", len(text), maxTraceText)
		}
	}
	return &t.Trace, nil
}
