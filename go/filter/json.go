package filter

import (
	"errors"
	"fmt"

	"choria.io/choria/go/internal/jsonscan"
)

// MarshalJSON encodes f as nodes want it, with all five members as arrays.
func (f Filter) MarshalJSON() ([]byte, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	return f.appendJSON(make([]byte, 0, 128)), nil
}

func (f Filter) appendJSON(b []byte) []byte {
	b = append(b, `{"fact":[`...)
	for i, fact := range f.Fact {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"fact":`...)
		b = jsonscan.AppendString(b, fact.Name)
		b = append(b, `,"operator":`...)
		b = jsonscan.AppendString(b, fact.Operator)
		b = append(b, `,"value":`...)
		b = jsonscan.AppendString(b, fact.Value)
		b = append(b, '}')
	}
	b = append(b, `],"cf_class":`...)
	b = jsonscan.AppendStrings(b, f.Class)
	b = append(b, `,"agent":`...)
	b = jsonscan.AppendStrings(b, f.Agent)
	b = append(b, `,"identity":`...)
	b = jsonscan.AppendStrings(b, f.Identity)
	b = append(b, `,"compound":[`...)
	for i, c := range f.Compound {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `[{"expr":`...)
		b = jsonscan.AppendString(b, c.Expr)
		b = append(b, `}]`...)
	}
	return append(b, `]}`...)
}

// The members of a filter and of a fact in it, in the order of their bits in what Object returns.
var (
	filterMembers   = []string{"fact", "cf_class", "identity", "compound", "agent"}
	factMembers     = []string{"fact", "operator", "value"}
	compoundMembers = []string{"expr"}
)

// UnmarshalJSON decodes f and refuses what Validate refuses, wrong types and missing members. Only
// agent may be missing, since some senders leave it out.
func (f *Filter) UnmarshalJSON(data []byte) error {
	s := jsonscan.New(data)
	var got Filter
	seen, err := s.Object(filterMembers, func(i int) (err error) {
		switch filterMembers[i] {
		case "fact":
			got.Fact, err = scanFacts(&s)
		case "cf_class":
			got.Class, err = scanStrings(&s)
		case "identity":
			got.Identity, err = scanStrings(&s)
		case "compound":
			got.Compound, err = scanCompounds(&s)
		case "agent":
			got.Agent, err = scanStrings(&s)
		}
		return err
	})
	if err == nil {
		err = s.End()
	}
	if err != nil {
		return err
	}
	for i, name := range filterMembers[:4] {
		if seen&(1<<i) == 0 {
			return fmt.Errorf("no member %q", name)
		}
	}
	if err := got.Validate(); err != nil {
		return err
	}
	*f = got
	return nil
}

func scanStrings(s *jsonscan.Scanner) (list []string, err error) {
	err = s.Array(func() error {
		text, err := s.String()
		list = append(list, text)
		return err
	})
	return list, err
}

func scanFacts(s *jsonscan.Scanner) (list []Fact, err error) {
	err = s.Array(func() error {
		var f Fact
		seen, err := s.Object(factMembers, func(i int) (err error) {
			switch i {
			case 0:
				f.Name, err = s.String()
			case 1:
				f.Operator, err = s.String()
			case 2:
				f.Value, err = s.String()
			}
			return err
		})
		if err == nil && seen != 1<<len(factMembers)-1 {
			err = errors.New("a fact filter lacks fact, operator or value")
		}
		list = append(list, f)
		return err
	})
	return list, err
}

// scanCompounds reads an array of arrays of objects. An inner array that is not one object with an
// expression becomes an empty Compound.
func scanCompounds(s *jsonscan.Scanner) (list []Compound, err error) {
	err = s.Array(func() error {
		var c Compound
		length := 0
		err := s.Array(func() error {
			length++
			_, err := s.Object(compoundMembers, func(int) (err error) {
				if s.Kind() != '"' {
					return s.Skip()
				}
				c.Expr, err = s.String()
				return err
			})
			return err
		})
		if length != 1 {
			c.Expr = ""
		}
		list = append(list, c)
		return err
	})
	return list, err
}
