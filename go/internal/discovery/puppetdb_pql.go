package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"choria.io/choria/go/filter"
)

// everywhere are the agents that every server has, so that no file of a catalog tells who has them;
// the class that declares the server does. Source: rpc section 8.4.
var everywhere = map[string]bool{"rpcutil": true, "scout": true, "choria_util": true}

// pql returns the query for the nodes that match f in a collective. Source: rpc section 8.4.
//
// Text of others only gets into it through quote, and names of facts through field.
func pql(f filter.Filter, collective string) (string, error) {
	if len(f.Compound) > 0 {
		return "", errors.New("an expression cannot be asked of PuppetDB: only nodes can evaluate it")
	}
	var parts []string
	if collective != "" {
		name, err := quote(collective)
		if err != nil {
			return "", fmt.Errorf("collective %q: %w", collective, err)
		}
		parts = append(parts, `certname in inventory[certname] { facts.mcollective.server.collectives.match("\d+") = `+name+` }`)
	}
	identities, names := f.Identity, ""
	if len(identities) > maxChain {
		identities, names = splitNames(identities)
	}
	for _, group := range []struct {
		what  string
		texts []string
		query func(string) (string, error)
		join  string
		first string // the start of the list, if there is one
	}{
		{"identity", identities, pqlIdentity, " or ", names},
		{"class", f.Class, pqlClass, " and ", ""},
		{"agent", f.Agent, pqlAgent, " and ", ""},
	} {
		var all []string
		if group.first != "" {
			all = append(all, group.first)
		}
		for _, text := range group.texts {
			query, err := group.query(text)
			if err != nil {
				return "", fmt.Errorf("%s filter %q: %w", group.what, text, err)
			}
			all = append(all, query)
		}
		if len(all) > 0 {
			parts = append(parts, chain(all, group.join))
		}
	}
	var facts []string
	for _, fact := range f.Fact {
		query, err := pqlFact(fact)
		if err != nil {
			return "", fmt.Errorf("fact filter %s%s%s: %w", fact.Name, fact.Operator, fact.Value, err)
		}
		facts = append(facts, query)
	}
	if len(facts) > 0 {
		parts = append(parts, chain(facts, " and "))
	}
	if len(parts) == 0 {
		return "nodes[certname, deactivated] { }", nil
	}
	return "nodes[certname, deactivated] { (" + strings.Join(parts, ") and (") + ") }", nil
}

// maxChain is how many conditions are joined side by side. PuppetDB's grammar lets it take a chain apart
// in as many ways as it has subsets: 15 conditions cost PuppetDB 7.12 half a second, 20 all its memory.
const maxChain = 8

// chain joins conditions, with parentheses where there are many.
func chain(conditions []string, operator string) string {
	if len(conditions) > maxChain {
		size := (len(conditions) + maxChain/2 - 1) / (maxChain / 2)
		var groups []string
		for group := range slices.Chunk(conditions, size) {
			text := chain(group, operator)
			if len(group) > 1 {
				text = "(" + text + ")"
			}
			groups = append(groups, text)
		}
		conditions = groups
	}
	return strings.Join(conditions, operator)
}

// splitNames takes the plain names out of identities, as one condition; a thousand of them cost
// PuppetDB no more than a dozen other conditions.
func splitNames(identities []string) (others []string, names string) {
	var quoted []string
	for _, id := range identities {
		if ValidName(id) {
			quoted = append(quoted, `"`+id+`"`)
		} else {
			others = append(others, id)
		}
	}
	if quoted != nil {
		names = "certname in [" + strings.Join(quoted, ", ") + "]"
	}
	return others, names
}

func pqlIdentity(text string) (string, error) {
	if query, ok := strings.CutPrefix(text, "pql:"); ok {
		if query = strings.TrimSpace(query); query == "" {
			return "", errors.New("pql: has no query behind it")
		}
		return "certname in " + query, nil
	}
	return pqlMatch("certname", text)
}

func pqlClass(text string) (string, error) {
	if _, ok := slashed(text); !ok {
		text = className(text)
	}
	match, err := pqlMatch("title", text)
	return `resources {type = "Class" and ` + match + `}`, err
}

func pqlAgent(text string) (string, error) {
	if everywhere[text] {
		current, _ := pqlClass("choria::service")
		old, _ := pqlClass("mcollective::service")
		return "(" + current + " or " + old + ")", nil
	}
	if re, ok := slashed(text); ok {
		quoted, err := quote("mcollective_agent_.*?" + anyCase(re) + ".*?_server")
		return `resources {type = "File" and tag ~ ` + quoted + `}`, err
	}
	quoted, err := quote("mcollective_agent_" + text + "_server")
	return `resources {type = "File" and tag = ` + quoted + `}`, err
}

// pqlMatch compares a field with text, which is a regular expression when it stands between slashes.
func pqlMatch(field, text string) (string, error) {
	operator := " = "
	if re, ok := slashed(text); ok {
		operator, text = " ~ ", anyCase(re)
	}
	quoted, err := quote(text)
	return field + operator + quoted, err
}

// number is what can stand in a query without quotes: what PuppetDB reads into 64 bits, or as a real.
var number = regexp.MustCompile(`\A-?[0-9]{1,18}(\.[0-9]{1,18})?\z`)

func pqlFact(f filter.Fact) (string, error) {
	name, err := field(f.Name)
	if err != nil {
		return "", err
	}
	quoted, err := quote(f.Value)
	if err != nil {
		return "", err
	}
	numeric := number.MatchString(f.Value)
	switch f.Operator {
	case "==", "!=":
		equal := name + " = " + quoted
		if bare := strings.ToLower(f.Value); numeric || bare == "true" || bare == "false" {
			equal = name + " = " + bare + " or " + equal
		}
		if f.Operator == "!=" {
			equal = "!(" + equal + ")"
		}
		return "inventory {" + equal + "}", nil
	case "=~":
		quoted, err := quote(anyCase(strings.Trim(f.Value, "/")))
		return "inventory {" + name + " ~ " + quoted + "}", err
	case "<", ">", "<=", ">=":
		if !numeric {
			return "", fmt.Errorf("PuppetDB orders numbers alone, and %q is none", f.Value)
		}
		return "inventory {" + name + " " + f.Operator + " " + f.Value + "}", nil
	}
	return "", fmt.Errorf("operator %q is not known", f.Operator)
}

// field returns the place of a fact in an inventory. Name is a path as in filters: parts separated by
// dots, \ before a dot that separates nothing, numbers for places in lists.
func field(name string) (string, error) {
	parts, err := factPath(name)
	if err != nil {
		return "", err
	}
	out := "facts"
	for i, part := range parts {
		if i > 0 && index.MatchString(part) {
			if index.MatchString(parts[i-1]) {
				return "", errors.New("PuppetDB cannot look into a list in a list")
			}
			continue // it stands behind the part before it
		}
		place := ""
		if i+1 < len(parts) && index.MatchString(parts[i+1]) {
			place = "[" + parts[i+1] + "]"
		}
		switch {
		case bareField.MatchString(part):
			out += "." + part + place
		case strings.ContainsAny(part, "\"\\[]") || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r == utf8.RuneError }):
			return "", fmt.Errorf("PuppetDB cannot be asked for a fact called %q", part)
		default:
			out += `."` + part + place + `"`
		}
	}
	return out, nil
}

// Parts of the names of facts: places in lists, and what needs no quotes. PuppetDB's grammar lets more
// stand without.
var (
	index     = regexp.MustCompile(`\A[0-9]{1,9}\z`)
	bareField = regexp.MustCompile(`\A[A-Za-z0-9_:/-]+\z`)
)

// factPath splits the name of a fact at its dots. What the syntax of gjson can do beyond naming one
// value is refused, since PuppetDB cannot.
func factPath(name string) ([]string, error) {
	const patterns = "*?#|@!{}()"
	var parts []string
	var part []byte
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '\\' && i+1 < len(name):
			i++
			part = append(part, name[i])
		case strings.IndexByte(patterns, c) >= 0:
			return nil, fmt.Errorf("PuppetDB can be asked for one fact by its name, %q is more than a name", name)
		case c == '.':
			parts, part = append(parts, string(part)), nil
		default:
			part = append(part, c)
		}
	}
	parts = append(parts, string(part))
	for _, part := range parts {
		if part == "" {
			return nil, fmt.Errorf("a part of the name %q is empty", name)
		}
	}
	return parts, nil
}

// className returns the name of a class as catalogs have it: A::B for a::b.
func className(text string) string {
	parts := strings.Split(strings.ToLower(text), "::")
	for i, part := range parts {
		if part != "" {
			parts[i] = strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, "::")
}

// slashed returns what stands between slashes.
func slashed(text string) (string, bool) {
	if len(text) < 2 || text[0] != '/' || text[len(text)-1] != '/' {
		return "", false
	}
	return text[1 : len(text)-1], true
}

// quote returns text as a string of a query. These are strings of JSON; PostgreSQL, behind it, has no
// NUL in text.
func quote(text string) (string, error) {
	switch {
	case text == "":
		return "", errors.New("it is empty")
	case !utf8.ValidString(text) || strings.Contains(text, "\x00"):
		return "", errors.New("PuppetDB takes text in UTF-8 alone")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
