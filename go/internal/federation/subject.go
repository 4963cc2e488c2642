package federation

import (
	"strings"

	"choria.io/choria/go/internal/transport"
)

// maxSubject is the longest subject that is published to, in bytes. Those of agents and nodes have
// some 100; brokers end connections that send a control line of more than 4096.
const maxSubject = 512

// isTarget reports whether a request may be delivered to s: COLLECTIVE.broadcast.agent.AGENT,
// COLLECTIVE.broadcast.service.AGENT or COLLECTIVE.node.IDENTITY. The header that names targets is
// not signed, so that nothing else may be reached by it: no other federation, which would make
// loops, no streams, events or registrations, and nothing of the broker itself.
func isTarget(s string) bool {
	if !publishable(s) {
		return false
	}
	_, rest, _ := strings.Cut(s, ".")
	switch {
	case strings.HasPrefix(rest, "node."):
		return true // an identity has dots
	case strings.HasPrefix(rest, "broadcast.agent."), strings.HasPrefix(rest, "broadcast.service."):
		return strings.Count(rest, ".") == 2
	}
	return false
}

// publishable reports whether s is a subject without wildcards that does not belong to the broker.
func publishable(s string) bool {
	return len(s) <= maxSubject && transport.ValidSubject(s) && s[0] != '$' && s[0] != '_'
}

// isReply reports whether a reply may be published to s.
func isReply(s string) bool { return len(s) <= maxSubject && transport.CarriesReplies(s) }
