package federation

import (
	"fmt"
	"strconv"
	"strings"

	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// A client that waits for a node learns from the brokers of its own network when that is not connected. Those of
// a federated site tell who publishes to the node: the federation broker, which passes it on to clients that ask for
// it, by the NATS reply subject of their message. It keeps nothing about them, as ever: whom to tell about what is in
// the subject that it hears on.

// wanted returns where the sender of a message wants to hear which targets nobody listens on, empty when it does not
// want to, as older clients do not.
func wanted(reply string) string {
	if _, _, ok := transport.ParseFederatedAbsences(reply); !ok || !isReply(reply) {
		return ""
	}
	return reply
}

// hearAbsences subscribes the connections that requests are published by.
func (b *Broker) hearAbsences() error {
	for i, l := range b.requests.to.out {
		l.absences = "choria.federation." + b.Site + ".absent." + protocol.NewID() + "."
		sub, err := l.conn.Load().Subscribe(l.absences+">", "", maxWaiting, func(m transport.Msg) {
			if m.NoResponders {
				b.tellAbsent(i, strings.TrimPrefix(m.Subject, l.absences))
			}
		})
		if err == nil {
			err = sub.LimitBytes(maxWaitingBytes)
		}
		if err != nil {
			return fmt.Errorf("federation: %w", err)
		}
	}
	return nil
}

// inbox is where a broker says that nobody listens on target, which is to be told on the subject reply.
func (l *link) inbox(reply, target string) string {
	return l.absences + strconv.Itoa(strings.Count(reply, ".")) + "." + reply + "." + target
}

// parseInbox reads what inbox has added to the subjects of its link.
func parseInbox(text string) (reply, target string, ok bool) {
	number, rest, ok := strings.Cut(text, ".")
	dots, err := strconv.Atoi(number)
	if !ok || err != nil || dots < 0 {
		return "", "", false
	}
	end := 0 // of reply
	for ; dots >= 0; dots-- {
		i := strings.IndexByte(rest[end:], '.')
		if i < 0 {
			return "", "", false
		}
		end += i + 1
	}
	return rest[:end-1], rest[end:], true
}

// tellAbsent tells a client on which subject nobody listens, by the connection that replies take.
func (b *Broker) tellAbsent(number int, text string) {
	to, target, ok := parseInbox(text)
	if !ok || wanted(to) == "" || !isTarget(target) {
		return // of somebody who makes up subjects
	}
	_, out := b.replies.workers[number].egest()
	if err := out.conn.Load().Publish(to, transport.EncodeAbsence(target)); err != nil {
		b.Log.Debug("absence not published", "err", err)
	}
}
