package puppettask_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"choria.io/choria/go/internal/puppettask"
	"choria.io/choria/go/internal/puppettask/puppettasktest"
	"choria.io/choria/go/internal/security/pki"
)

func newServer(t *testing.T) (*puppettasktest.Server, *puppettask.Server) {
	t.Helper()
	ca, err := pki.New("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	s := puppettasktest.New(t, ca)
	return s, &puppettask.Server{Address: s.Address, TLS: s.ClientTLS("client.example.net")}
}

func TestTask(t *testing.T) {
	t.Parallel()
	standin, s := newServer(t)
	standin.Add("demo", `{"description":"shows"}`, "init.sh", "#!/bin/sh\n")
	standin.Add("demo::more", `{}`, "more.rb", "puts 1\n", "helper/files/helper.rb", "# helps\n")

	task, err := s.Task(t.Context(), "demo", "production")
	if err != nil || string(task.Metadata) != `{"description":"shows"}` || len(task.Files) != 1 || task.Files[0].Filename != "init.sh" {
		t.Fatalf("demo: %+v, %v", task, err)
	}
	task, err = s.Task(t.Context(), "demo::more", "production")
	if err != nil || len(task.Files) != 2 {
		t.Fatalf("demo::more: %+v, %v", task, err)
	}
	for i, want := range []string{"puts 1\n", "# helps\n"} {
		var got bytes.Buffer
		if err := s.Fetch(t.Context(), task.Files[i], &got); err != nil || got.String() != want {
			t.Errorf("%s: %q, %v", task.Files[i].Filename, got.String(), err)
		}
	}

	var refusal *puppettask.Refusal
	if _, err = s.Task(t.Context(), "demo", "testing"); !errors.As(err, &refusal) || refusal.Status != http.StatusNotFound || refusal.Hint() == "" {
		t.Errorf("an environment without the task: %v", err)
	}
	if _, err = s.Task(t.Context(), "../demo", "production"); err == nil || !strings.Contains(err.Error(), "want a name such as") {
		t.Errorf("no name of a task: %v", err)
	}
	task.Files[0].Size--
	if err := s.Fetch(t.Context(), task.Files[0], &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "not the 6 bytes that were announced") {
		t.Errorf("a file that is longer: %v", err)
	}
	for _, path := range []string{"/puppet/v3/catalog/a", "/puppet/v3/file_content/../catalog/a", ""} {
		task.Files[0].URI.Path = path
		if err := s.Fetch(t.Context(), task.Files[0], &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "is no path below") {
			t.Errorf("%q: %v", path, err)
		}
	}
	s.TLS.Certificates = nil
	if _, err = s.Task(t.Context(), "demo", "production"); err == nil || errors.As(err, new(*puppettask.Refusal)) {
		t.Errorf("without a certificate: %v", err)
	}
}

func TestParseFiles(t *testing.T) {
	sum := strings.Repeat("a", 64)
	for text, want := range map[string]string{
		`[{"filename":"a.sh","sha256":"` + sum + `","size_bytes":3}]`: "",
		`[{"filename":"m/files/a.sh","sha256":"` + sum + `"}]`:        "",
		`[]`:   "none are given",
		`null`: "none are given",
		`{`:    "files of the task: ",
		`[{"filename":"../a","sha256":"` + sum + `"}]`:                        `file "../a" of the task: want a name`,
		`[{"filename":"/a","sha256":"` + sum + `"}]`:                          `file "/a" of the task: want a name`,
		`[{"filename":"m/../../a","sha256":"` + sum + `"}]`:                   "want a name",
		`[{"filename":".","sha256":"` + sum + `"}]`:                           "want a name",
		`[{"filename":"","sha256":"` + sum + `"}]`:                            "want a name",
		`[{"filename":"a","sha256":"../../etc/passwd"}]`:                      "is no SHA-256 digest",
		`[{"filename":"a","sha256":"` + sum + `","size_bytes":-1}]`:           "-1 bytes",
		`[{"filename":"a","sha256":"` + sum + `","size_bytes":999999999999}]`: "999999999999 bytes",
	} {
		_, err := puppettask.ParseFiles(text)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}

func FuzzParseFiles(f *testing.F) {
	f.Add(`[{"filename":"m/files/a.sh","sha256":"` + strings.Repeat("a", 64) + `","size_bytes":3,"uri":{"path":"/","params":{"a":"b"}}}]`)
	f.Fuzz(func(t *testing.T, text string) {
		files, err := puppettask.ParseFiles(text)
		if err != nil {
			return
		}
		for _, file := range files {
			if strings.HasPrefix(file.Filename, "/") || strings.Contains("/"+file.Filename+"/", "/../") || file.Filename == "" {
				t.Errorf("%q is a name", file.Filename)
			}
		}
	})
}
