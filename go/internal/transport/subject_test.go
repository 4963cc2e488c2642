package transport

import (
	"strings"
	"testing"
)

func TestSubjects(t *testing.T) {
	for _, tt := range []struct {
		subject        string
		valid, replies bool
	}{
		{"a", true, true},
		{"mcollective.reply.0123.4567", true, true},
		{"choria.reply.0123.4567", true, true},
		{"mcollective.async.echo", true, true},
		{"choria.async", true, false},
		{"choria.lifecycle.event.startup.server", true, false},
		{"mcollective.node.n1.example.net", true, false},
		{"mcollective.broadcast.agent.shell", true, false},
		{"$JS.API.INFO", true, false},
		{"_INBOX.x", true, false},
		{strings.Repeat("x", maxSubject), true, true},
		{"", false, false},
		{strings.Repeat("x", maxSubject+1), false, false},
		{"a.*", false, false},
		{"a.>", false, false},
		{"bad subject", false, false},
		{"a\r\nPUB b 0", false, false},
		{"a\x7f", false, false},
		{".a", false, false},
		{"a.", false, false},
		{"a..b", false, false},
	} {
		if got := ValidSubject(tt.subject); got != tt.valid {
			t.Errorf("ValidSubject(%.40q) is %v", tt.subject, got)
		}
		if got := CarriesReplies(tt.subject); got != tt.replies {
			t.Errorf("CarriesReplies(%.40q) is %v", tt.subject, got)
		}
	}
}
