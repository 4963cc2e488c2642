package ddl

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"
)

// check returns what is wrong with v, as words that follow the value, or nothing.
func (in *Input) check(v any) string {
	switch in.Type {
	case "integer":
		if f, ok := number(v); !ok || f != math.Trunc(f) {
			return "is not an integer"
		}
	case "number":
		if _, ok := number(v); !ok {
			return "is not a number"
		}
	case "float": // JSON does not tell 1.0 from 1, so any number is one
		if _, ok := number(v); !ok {
			return "is not a float"
		}
	case "boolean":
		if reflect.ValueOf(v).Kind() != reflect.Bool {
			return "is not a boolean"
		}
	case "hash":
		if t := reflect.TypeOf(v); t.Kind() != reflect.Map || t.Key().Kind() != reflect.String {
			return "is not a hash map"
		}
	case "array":
		t := reflect.TypeOf(v)
		if t.Kind() != reflect.Slice && t.Kind() != reflect.Array || t.Elem().Kind() == reflect.Uint8 {
			return "is not an array"
		}
	case "list":
		s, ok := text(v)
		if !ok {
			return "is not a string"
		}
		for _, member := range in.List {
			if s == member {
				return ""
			}
		}
		return "should be one of " + strings.Join(in.List, ", ")
	default:
		s, ok := text(v)
		if !ok {
			return "is not a string"
		}
		return in.checkString(s)
	}
	return ""
}

// checkString checks length and pattern of a string. A maxlength of 0 means any length; the
// pattern counts all the same.
func (in *Input) checkString(s string) string {
	if in.MaxLength > 0 && len(s) > in.MaxLength {
		reason := fmt.Sprintf("is longer than %d characters", in.MaxLength)
		if utf8.RuneCountInString(s) <= in.MaxLength {
			reason += " in UTF-8"
		}
		return reason
	}
	switch {
	case in.Validation == "":
		return ""
	case isName(in.Validation) && strings.Trim(in.Validation[:1], "0123456789") != "":
		if valid, known := validators[in.Validation]; known {
			return valid(s)
		}
		// A validator of some Ruby plugin: the node that has the plugin will check.
		return ""
	}
	re, err := regexp.Compile(in.Validation)
	if err != nil {
		return fmt.Sprintf("cannot be checked, since %q is not a pattern of RE2: %v", cut(in.Validation, 80), err)
	}
	if !re.MatchString(s) {
		return "does not match " + in.Validation
	}
	return ""
}

// validators are the named rules for strings. Each returns what is wrong.
var validators = map[string]func(string) string{
	"shellsafe": func(s string) string {
		for _, bad := range []string{"`", "$", ";", "|", "&&", ">", "<"} {
			if strings.Contains(s, bad) {
				return "may not contain " + bad
			}
		}
		return ""
	},
	"ipv4address": func(s string) string {
		if a, err := netip.ParseAddr(s); err != nil || !a.Is4() {
			return "is not an IPv4 address"
		}
		return ""
	},
	"ipv6address": func(s string) string {
		if a, err := netip.ParseAddr(s); err != nil || !a.Is6() {
			return "is not an IPv6 address"
		}
		return ""
	},
	"ipaddress": func(s string) string {
		if _, err := netip.ParseAddr(s); err != nil {
			return "is not an IP address"
		}
		return ""
	},
	"nettest_fqdn": func(s string) string {
		if _, err := netip.ParseAddr(s); err != nil && !isHostName(s) {
			return "is neither a host name nor an IP address"
		}
		return ""
	},
}

// isHostName reports whether s has the form of a host name, RFC 1123 section 2.1; underscores,
// which some sites have in names, are let through.
func isHostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
				return false
			}
		}
	}
	return true
}

// number returns the value of any Go number or json.Number that JSON can hold.
func number(v any) (float64, bool) {
	if n, ok := v.(json.Number); ok {
		f, err := n.Float64()
		return f, err == nil
	}
	switch rv := reflect.ValueOf(v); {
	case rv.CanInt():
		return float64(rv.Int()), true
	case rv.CanUint():
		return float64(rv.Uint()), true
	case rv.CanFloat():
		f := rv.Float()
		return f, !math.IsInf(f, 0) && !math.IsNaN(f)
	}
	return 0, false
}

// text returns the value of any Go string type.
func text(v any) (string, bool) {
	if _, isNumber := v.(json.Number); isNumber {
		return "", false
	}
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.String {
		return rv.String(), true
	}
	return "", false
}
