package cli

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"choria.io/choria/go/internal/config"
)

func TestManualPages(t *testing.T) {
	e := &env{ctx: t.Context(), name: "choria", stdout: io.Discard, stderr: io.Discard}
	app := e.application().Model()
	main := mainPage(app).String()
	for _, cmd := range app.Commands {
		listed := strings.Contains(main, escape("choria-"+cmd.Name+"("))
		if want := !cmd.Hidden && cmd.Name != "help"; listed != want {
			t.Errorf("choria(1) lists %s: %v, want %v", cmd.Name, listed, want)
		}
		page := commandPage(cmd).String()
		for _, f := range cmd.Flags {
			item := regexp.MustCompile(`(?m)^\.B .*` + regexp.QuoteMeta(escape("--")) + `(\[no\\-\])?` + regexp.QuoteMeta(escape(f.Name)) + `(=|$)`)
			if has := item.MatchString(page); has == f.Hidden {
				t.Errorf("choria-%s(1) shows --%s: %v", cmd.Name, f.Name, has)
			}
		}
		for _, sub := range cmd.Commands {
			if strings.Contains(page, strings.ToUpper(escape("choria "+cmd.Name+" "+sub.Name))) == sub.Hidden {
				t.Errorf("choria-%s(1) shows %s: %v", cmd.Name, sub.Name, !sub.Hidden)
			}
		}
	}
	conf := configPage().String()
	for _, k := range config.Known() {
		if !strings.Contains(conf, "\n.B "+escape(k.Name+" (")) {
			t.Errorf("choria.conf(5) has no %s", k.Name)
		}
	}
	// Only the requests that are meant are at the start of a line.
	for _, line := range strings.Split(main+conf, "\n") {
		if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !regexp.MustCompile(`^\.(TH|SH|PP|TP|B|nf|fi)\b`).MatchString(line) {
			t.Errorf("%q is a request", line)
		}
	}
}

func TestEscape(t *testing.T) {
	if got, want := escape(".a\\b -c\n'd\n\ne"), "\\&.a\\eb \\-c\n\\&'d\n\ne"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestManual writes all pages, with stand-ins for the programs that tell their own usage.
func TestManual(t *testing.T) {
	bin, dir := t.TempDir(), t.TempDir()
	for _, program := range daemons {
		if err := os.WriteFile(filepath.Join(bin, program), []byte("#!/bin/sh\necho usage: "+program+" run\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	e := &env{ctx: t.Context(), name: "choria", stdout: io.Discard, stderr: io.Discard}
	if err := e.manual(e.application().Model(), dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"choria.1", "choria-ping.1", "choria-enroll.1", "choria.conf.5", "choria-server.8", "choria-broker.8"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.HasPrefix(string(data), ".TH ") {
			t.Errorf("%s: %.20q, %v", name, data, err)
		}
	}
	if err := e.manual(e.application().Model(), filepath.Join(dir, "none")); err == nil {
		t.Error("no error without a directory")
	}
}
