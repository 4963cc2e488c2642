package security

import (
	"regexp"
	"strings"
	"testing"
)

func TestParseCaller(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"choria=rip.mcollective":              "rip.mcollective",
		"up=bob":                              "bob",
		"choria=a_B-9.x":                      "a_B-9.x",
		"":                                    "",
		"choria":                              "",
		"choria=":                             "",
		"=bob":                                "",
		"UP=bob":                              "",
		"choria1=bob":                         "",
		"choria=..":                           "",
		"choria=rip.mcollective/../x":         "",
		"choria=rip.mcollective\n":            "",
		"choria=rip=mcollective":              "",
		"choria=ríp":                          "",
		"choria=" + strings.Repeat("/", 1000): "",
	} {
		got, err := ParseCaller(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParseCaller(%q) = %q, %v; want %q", in, got, err, want)
		}
		if err != nil && len(err.Error()) > 700 {
			t.Errorf("ParseCaller(%d bytes): the message has %d bytes", len(in), len(err.Error()))
		}
	}
}

func FuzzParseCaller(f *testing.F) {
	for _, s := range []string{"choria=rip.mcollective", "UP=bob", "up=", "choria=rip.mcollective/../x", "a=..", "a=b\x00"} {
		f.Add(s)
	}
	form := regexp.MustCompile(`\A[a-z]+=([\w.\-]+)\z`)
	f.Fuzz(func(t *testing.T, s string) {
		want := ""
		if m := form.FindStringSubmatch(s); m != nil && m[1] != "." && m[1] != ".." {
			want = m[1]
		}
		if got, err := ParseCaller(s); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseCaller(%q) = %q, %v; want %q", s, got, err, want)
		}
	})
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		list       []string
		yes, no    string
		errContain string
	}{
		{defaultCallers, "rip.mcollective rip.choria", "rip.example.com mcollective rip.mcollective.example.com xmcollective", ""},
		{defaultPrivileged, "a.privileged.mcollective a.privileged.choria", "a.mcollective privileged.mcollective", ""},
		{[]string{"bob", " /^ann$/ ", ""}, "bob xbobx ann", "annx al", ""},
		{[]string{"/a(/"}, "", "", `the.key: "/a(/": error parsing regexp: missing closing )`},
		{[]string{"//"}, "", "", `the.key: "//": an empty pattern matches everybody`},
		{[]string{""}, "", "bob", ""},
		{[]string{"/"}, "a/b", "ab", ""},
	}
	for _, tt := range tests {
		p, err := parsePatterns("the.key", tt.list)
		check(t, strings.Join(tt.list, ","), err, tt.errContain)
		for _, name := range strings.Fields(tt.yes) {
			if !p.match(name) {
				t.Errorf("%q does not match %q", tt.list, name)
			}
		}
		for _, name := range strings.Fields(tt.no) {
			if p.match(name) {
				t.Errorf("%q matches %q", tt.list, name)
			}
		}
	}
}

func TestCertname(t *testing.T) {
	t.Parallel()
	const id = "n1.example.net"
	tests := []struct {
		provider string
		kind     For
		uid      int
		env      string
		want     string
		err      string
	}{
		{"puppet", ForClient, 0, "USER=root", "root.mcollective", ""},
		{"puppet", ForClient, 1000, "USER=rip", "rip.mcollective", ""},
		{"puppet", ForServer, 1000, "USER=rip", id, ""},
		{"puppet", ForBroker, 0, "USER=root", id, ""},
		{"puppet", ForClient, 0, "USER=root MCOLLECTIVE_CERTNAME=ann.mcollective", "ann.mcollective", ""},
		{"puppet", ForServer, 0, "MCOLLECTIVE_CERTNAME=other.example.net", "other.example.net", ""},
		{"puppet", ForClient, 1000, "", "", "USER is not set"},
		{"puppet", ForClient, 1000, "USER=a/../b", "", `certificate name: USER: "a/../b.mcollective": want letters`},
		{"puppet", ForClient, 1000, "MCOLLECTIVE_CERTNAME=..", "", `certificate name: MCOLLECTIVE_CERTNAME: "..": want letters`},
		{"file", ForClient, 0, "USER=root", id, ""},
		{"file", ForClient, 1000, "USER=rip", "rip.mcollective", ""},
		{"file", ForServer, 0, "USER=root", id, ""},
		{"file", ForServer, 1000, "USER=choria", "choria.mcollective", ""},
	}
	for _, tt := range tests {
		got, err := certname(tt.provider, tt.kind, id, tt.uid, environment(tt.env))
		check(t, tt.env, err, tt.err)
		if got != tt.want {
			t.Errorf("%s, kind %d, uid %d, %s: %q, want %q", tt.provider, tt.kind, tt.uid, tt.env, got, tt.want)
		}
	}
}

// environment looks names up in text, NAME=VALUE NAME=VALUE.
func environment(text string) func(string) string {
	return func(name string) string {
		for _, f := range strings.Fields(text) {
			if n, v, _ := strings.Cut(f, "="); n == name {
				return v
			}
		}
		return ""
	}
}
