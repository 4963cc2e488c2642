package protocol

import "choria.io/choria/go/internal/jsonscan"

// headerNames is what one version calls a transport and its headers. The headers of all versions
// mean the same.
type headerNames struct {
	protocol   string
	headers    []string // of the reply subject, the sender, the hops and the federation
	federation []string // of the request id, the reply subject and the targets
}

// decode reads the headers of t.
func (n *headerNames) decode(t *Transport, headers []byte) error {
	return object(headers, n.headers, 0, func(s *jsonscan.Scanner, i int) (err error) {
		switch i {
		case 0:
			return scanText(s, &t.ReplyTo)
		case 1:
			return scanText(s, &t.Sender)
		case 2:
			t.Hops, err = scanHops(s)
			return err
		}
		if s.Null() {
			return nil
		}
		t.Federation = &Federation{}
		return scanObject(s, n.federation, 0, func(s *jsonscan.Scanner, i int) (err error) {
			switch i {
			case 0:
				return scanText(s, &t.Federation.RequestID)
			case 1:
				return scanText(s, &t.Federation.ReplyTo)
			}
			t.Federation.Targets, err = scanTexts(s, maxTargets)
			return err
		})
	})
}

// append appends the headers of t, which are never null: old receivers do not survive that.
func (n *headerNames) append(b []byte, t *Transport) []byte {
	b = append(b, '{')
	begin := len(b)
	if t.ReplyTo != "" {
		b = appendMember(b, n.headers[0])
		b = append(jsonscan.AppendString(b, t.ReplyTo), ',')
	}
	if t.Sender != "" {
		b = appendMember(b, n.headers[1])
		b = append(jsonscan.AppendString(b, t.Sender), ',')
	}
	if len(t.Hops) > 0 {
		b = append(appendMember(b, n.headers[2]), '[')
		for i, hop := range t.Hops {
			if i > 0 {
				b = append(b, ',')
			}
			b = jsonscan.AppendStrings(b, hop)
		}
		b = append(b, "],"...)
	}
	if f := t.Federation; f != nil {
		b = append(appendMember(b, n.headers[3]), '{')
		b = appendMember(b, n.federation[0])
		b = jsonscan.AppendString(b, f.RequestID)
		if f.ReplyTo != "" {
			b = appendMember(append(b, ','), n.federation[1])
			b = jsonscan.AppendString(b, f.ReplyTo)
		}
		if len(f.Targets) > 0 {
			b = appendMember(append(b, ','), n.federation[2])
			b = jsonscan.AppendStrings(b, f.Targets)
		}
		b = append(b, "},"...)
	}
	if len(b) > begin {
		b = b[:len(b)-1] // the last comma
	}
	return append(b, '}')
}

// appendMember appends the name of a member, which needs no escaping, and its colon.
func appendMember(b []byte, name string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	return append(b, `":`...)
}
