package security

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// clientSuffix ends the certificate names of people: ann's certificate is ann.mcollective.
const clientSuffix = ".mcollective"

// What the keys plugin.choria.security.certname_whitelist and
// plugin.choria.security.privileged_users mean when they are not set.
var (
	defaultCallers    = []string{`\.mcollective$`, `\.choria$`}
	defaultPrivileged = []string{`\.privileged.mcollective$`, `\.privileged.choria$`}
)

// ParseCaller returns the name in a caller id of the form kind=name: lower-case letters, an equals
// sign, then letters, digits, underscore, dot and dash. Peers look at the beginning alone and take
// choria=rip.mcollective/../x for rip.mcollective; here what follows the name is refused, since such
// a caller id would end up in policies and audit logs.
func ParseCaller(caller string) (name string, err error) {
	kind, name, found := strings.Cut(caller, "=")
	if !found || kind == "" || !only(kind, isLower) || !ValidName(name) {
		return "", fmt.Errorf("caller %q: want kind=name, as in choria=rip.mcollective", clip(caller))
	}
	return name, nil
}

// ValidName reports whether s may be the name of a certificate. What passes is safe in a path.
func ValidName(s string) bool {
	return s != "" && s != "." && s != ".." && only(s, func(c byte) bool {
		return isLower(c) || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
	})
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func only(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

// clip shortens foreign text for an error message.
func clip(s string) string {
	const most = 128
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// usualPatterns are the defaults, compiled once for all identities of a process: they are 5 kB.
var usualPatterns = sync.OnceValue(func() map[string]*regexp.Regexp {
	usual := make(map[string]*regexp.Regexp)
	for _, text := range slices.Concat(defaultCallers, defaultPrivileged) {
		usual[text] = regexp.MustCompile(text)
	}
	return usual
})

// patterns is a list of regular expressions of which one has to match anywhere in a name.
type patterns []*regexp.Regexp

// parsePatterns compiles the value of key. An entry written /…/ has its slashes removed.
func parsePatterns(key string, list []string) (patterns, error) {
	var out patterns
	for _, entry := range list {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue // a comma too many must not match everybody
		}
		text := entry
		if len(text) >= 2 && text[0] == '/' && text[len(text)-1] == '/' {
			text = text[1 : len(text)-1]
		}
		if text == "" {
			return nil, fmt.Errorf("%s: %q: an empty pattern matches everybody, write .* if that is meant", key, entry)
		}
		re, known := usualPatterns()[text]
		if !known {
			var err error
			if re, err = regexp.Compile(text); err != nil {
				return nil, fmt.Errorf("%s: %q: %w", key, entry, err)
			}
		}
		out = append(out, re)
	}
	return out, nil
}

func (p patterns) match(name string) bool {
	for _, re := range p {
		if re.MatchString(name) {
			return true
		}
	}
	return false
}

func (p patterns) matchAny(names []string) bool {
	for _, name := range names {
		if p.match(name) {
			return true
		}
	}
	return false
}

// certname returns the certificate name of this process (protocol section 3.2): the environment
// variable MCOLLECTIVE_CERTNAME, else for people <USER>.mcollective, else the configured identity.
// The puppet provider takes every process that is neither server nor broker for a person's, root's
// included; the file provider every process that does not run as root.
func certname(provider string, kind For, identity string, uid int, getenv func(string) string) (string, error) {
	name, from := identity, "identity"
	person := kind == ForClient
	if provider == "file" {
		person = uid != 0
	}
	switch {
	case getenv("MCOLLECTIVE_CERTNAME") != "":
		name, from = getenv("MCOLLECTIVE_CERTNAME"), "MCOLLECTIVE_CERTNAME"
	case person:
		if getenv("USER") == "" {
			return "", hint(errors.New("certificate name: the environment variable USER is not set"),
				"set USER, or the name of the certificate in MCOLLECTIVE_CERTNAME")
		}
		name, from = getenv("USER")+clientSuffix, "USER"
	}
	if !ValidName(name) {
		return "", fmt.Errorf("certificate name: %s: %q: want letters, digits, underscore, dot and dash", from, name)
	}
	return name, nil
}
