package transport

import (
	"encoding/json"
	"strconv"
	"strings"
)

// AbsenceSubjects is what the subjects begin with on which a client with that reply subject hears that somebody is
// not connected.
func AbsenceSubjects(reply string) string { return reply + absenceWord }

const absenceWord = ".nr."

// FederatedAbsences is where a client wants to hear from federation brokers of a site, counted from 0, which of the
// subjects that it names in a message nobody listens on. It is the NATS reply subject of that message; the round,
// counted from 1, tells answers to several messages apart.
func FederatedAbsences(reply string, round, site int) string {
	return AbsenceSubjects(reply) + "r" + strconv.Itoa(round) + "-f" + strconv.Itoa(site)
}

// ParseFederatedAbsences reads what FederatedAbsences makes. With any other subject nobody wants to hear that.
func ParseFederatedAbsences(subject string) (round, site int, ok bool) {
	i := strings.LastIndexByte(subject, '.')
	if i < 0 || !strings.HasSuffix(subject[:i+1], absenceWord) {
		return 0, 0, false
	}
	text, found := strings.CutPrefix(subject[i+1:], "r")
	first, second, cut := strings.Cut(text, "-f")
	if !found || !cut {
		return 0, 0, false
	}
	round, err1 := strconv.Atoi(first)
	site, err2 := strconv.Atoi(second)
	return round, site, err1 == nil && err2 == nil && round > 0 && site >= 0
}

// An absence is what a federation broker says.
type absence struct {
	Absent string `json:"absent"` // the subject that nobody listens on
}

// EncodeAbsence returns the message that says that nobody listens on subject.
func EncodeAbsence(subject string) []byte {
	data, err := json.Marshal(absence{subject})
	if err != nil {
		panic(err) // a string has no way to fail
	}
	return data
}

// maxAbsence is how long such a message may be.
const maxAbsence = 4096

// ParseAbsence reads what EncodeAbsence makes.
func ParseAbsence(data []byte) (subject string, ok bool) {
	var a absence
	if len(data) > maxAbsence || json.Unmarshal(data, &a) != nil {
		return "", false
	}
	return a.Absent, ValidSubject(a.Absent)
}
