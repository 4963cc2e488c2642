package federation

import (
	"strings"
	"testing"

	"choria.io/choria/go/internal/protocol"
)

// Whatever arrives, what goes out is addressed to agents and nodes on the one side and to clients on
// the other, and can be read by them.
func FuzzRoute(f *testing.F) {
	for _, headers := range []string{
		`{"reply-to":"a.reply.b","federation":{"req":"i","target":["a.node.n1","a.broadcast.agent.x","a.broadcast.service.x"]}}`,
		`{"federation":{"req":"i","reply-to":"a.reply.b"}}`,
		`{"reply-to":"$SYS.REQ","seen-by":[["a"]],"federation":{"req":"i","reply-to":"choria.federation.x.federation","target":["b.node.>"]}}`,
		`null`,
	} {
		f.Add([]byte(`{"protocol":"choria:transport:1","data":"e30=","headers":` + headers + `}`))
	}
	f.Add([]byte(`{"protocol":"io.choria.protocol.v2.transport","data":"x","headers":{"reply":"a.reply.b","federation":{"request":"i","targets":["a.node.n1"]}}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		const home = "choria.federation.london.collective"
		for _, routeIt := range []func(*protocol.Transport) ([]string, string){
			func(tr *protocol.Transport) ([]string, string) { return routeRequest(tr, home) },
			routeReply,
		} {
			r, err := protocol.DecodeRelay(payload)
			if err != nil {
				return
			}
			targets, reason := routeIt(&r.Transport)
			if (len(targets) == 0) != (reason != "") {
				t.Fatalf("targets %q and reason %q", targets, reason)
			}
			for _, target := range targets {
				parts := strings.Split(target, ".")
				if strings.ContainsAny(target, "*> \r\n\t") || parts[0] == "" || parts[0][0] == '$' || parts[0] == "choria" && parts[1] == "federation" {
					t.Errorf("published to %q", target)
				}
			}
			if reason == "" {
				if _, err := protocol.DecodeRelay(r.Encode()); err != nil {
					t.Errorf("published %s: %v", r.Encode(), err)
				}
			}
		}
	})
}

// Whatever subject somebody invents, nobody is told anything but on a subject that clients have made for it, about one
// that requests may go to. What the broker itself makes is read back.
func FuzzInbox(f *testing.F) {
	f.Add("4.mcollective.reply.0.1.nr.r1-f0.mcollective.node.n1.example.net")
	f.Add("0.a.b")
	f.Add("-1.a.b")
	f.Add("9999999999.a.b")
	f.Fuzz(func(t *testing.T, text string) {
		reply, target, ok := parseInbox(text)
		if !ok || wanted(reply) == "" || !isTarget(target) {
			return
		}
		l := link{absences: "prefix."}
		again, same, ok := parseInbox(strings.TrimPrefix(l.inbox(reply, target), l.absences))
		if !ok || again != reply || same != target {
			t.Errorf("%q: %q and %q became %q and %q", text, reply, target, again, same)
		}
	})
}
