package transport

import (
	"strings"
	"testing"
)

func TestFederatedAbsences(t *testing.T) {
	const reply = "mcollective.reply.0.1"
	subject := FederatedAbsences(reply, 12, 3)
	if round, site, ok := ParseFederatedAbsences(subject); !ok || round != 12 || site != 3 || !strings.HasPrefix(subject, AbsenceSubjects(reply)) {
		t.Errorf("%s: round %d of site %d, %v", subject, round, site, ok)
	}
	for _, text := range []string{"", ".nr.", "f1", "1", "r1-1", "r0-f1", "r1-f", "r1-f-1", "r-1-f1", "r1f1", "rx-f1"} {
		if round, site, ok := ParseFederatedAbsences(AbsenceSubjects(reply) + text); ok {
			t.Errorf("%s: round %d of site %d", text, round, site)
		}
	}
	if _, _, ok := ParseFederatedAbsences(reply + ".r1-f1"); ok {
		t.Error("a reply subject is taken for one of absences")
	}
}

func FuzzParseAbsence(f *testing.F) {
	f.Add(EncodeAbsence("mcollective.node.n1.example.net"))
	f.Add([]byte(`{"absent":"a.*"}`))
	f.Add([]byte(`{"absent":1}`))
	f.Add([]byte("HTTP"))
	f.Fuzz(func(t *testing.T, data []byte) {
		subject, ok := ParseAbsence(data)
		if !ok {
			return
		}
		if !ValidSubject(subject) || len(data) > maxAbsence {
			t.Fatalf("%q is accepted", data)
		}
		if again, ok := ParseAbsence(EncodeAbsence(subject)); ok && again != subject {
			t.Errorf("%q became %q", subject, again)
		}
	})
}
