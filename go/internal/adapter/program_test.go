package adapter

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// programEnv makes the test binary the program of a sink, which keeps what it gets in this directory.
const programEnv = "CHORIA_TEST_SINK_PROGRAM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(programEnv); dir != "" {
		os.Exit(beProgram(dir))
	}
	os.Exit(m.Run())
}

// beProgram is a sink that writes documents to a file. The file away says that it cannot.
func beProgram(dir string) int {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 8<<20)
	var hello stanHello
	if !in.Scan() || json.Unmarshal(in.Bytes(), &hello) != nil || hello.Cluster != "test" {
		fmt.Fprintln(os.Stderr, "no greeting")
		return 1
	}
	f, err := os.OpenFile(filepath.Join(dir, "stored"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for in.Scan() {
		var m struct {
			N    uint64          `json:"n"`
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(in.Bytes(), &m); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		answer := programAnswer{N: m.N}
		_, err := os.Stat(filepath.Join(dir, "away"))
		switch {
		case err == nil:
			answer.Error = "it is away"
		case len(m.Data) > 1<<20:
			answer.Error, answer.Refused = "too large", true
		default:
			fmt.Fprintf(f, "%s\n", m.Data)
		}
		if strings.Contains(string(m.Data), "nonsense") {
			fmt.Println("nonsense")
			continue
		}
		if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
			return 1
		}
	}
	return 0
}

// newProgram returns the path of the program, and where it keeps documents.
func newProgram(t *testing.T) (path string, p *place) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "program")
	script := fmt.Sprintf("#!/bin/sh\n%s='%s' exec '%s'\n", programEnv, dir, self)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	away := filepath.Join(dir, "away")
	return path, &place{
		sink: (&program{path: path, hello: stanHello{Cluster: "test"}}).open(nil),
		stored: func() map[string]int {
			data, err := os.ReadFile(filepath.Join(dir, "stored"))
			if err != nil {
				t.Fatal(err)
			}
			all := map[string]int{}
			for line := range strings.Lines(string(data)) {
				all[strings.TrimSuffix(line, "\n")]++
			}
			return all
		},
		stop: func() {
			if err := os.WriteFile(away, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		start: func() {
			if err := os.Remove(away); err != nil {
				t.Fatal(err)
			}
		},
		large: 2 << 20,
	}
}

func programPlace(t *testing.T) *place {
	_, p := newProgram(t)
	return p
}

// TestProgram kills the program, has it say nonsense, and takes it away.
func TestProgram(t *testing.T) {
	t.Parallel()
	path, place := newProgram(t)
	var log strings.Builder
	p := (&program{path: path, hello: stanHello{Cluster: "test"}}).open(slog.New(slog.NewTextHandler(&log, nil)))
	one := func(m Message) error {
		ctx, cancel := context.WithTimeout(t.Context(), publishTimeout)
		defer cancel()
		return p.Publish(ctx, []Message{m})[0]
	}
	until(t, "it runs", func() bool { return one(documentOf(1, 10)) == nil })

	p.run.kill()
	until(t, "another one runs", func() bool { return one(documentOf(2, 10)) == nil })

	nonsense := documentOf(3, 10)
	nonsense.Data = []byte(`{"a":"nonsense"}`)
	if err := one(nonsense); !retried(err) || !strings.Contains(err.Error(), "answer: invalid character") {
		t.Errorf("nonsense: %v", err)
	}
	until(t, "another one runs", func() bool { return one(documentOf(4, 10)) == nil })
	have := place.stored()
	for _, n := range []int{1, 2, 4} {
		if have[string(documentOf(n, 10).Data)] == 0 {
			t.Errorf("%d is not there", n)
		}
	}
	run := p.run
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	<-run.ended

	p = (&program{path: path, hello: stanHello{Cluster: "other"}}).open(slog.New(slog.NewTextHandler(&log, nil)))
	until(t, "its exit status is told", func() bool {
		err := one(documentOf(5, 10))
		return err != nil && strings.Contains(err.Error(), "exit status 1")
	})
	run = p.run
	_ = p.Close()
	<-run.ended // log is written to before
	if !strings.Contains(log.String(), "no greeting") {
		t.Errorf("log: %s", log.String())
	}
	gone := (&program{path: path + ".gone"}).open(nil)
	if err := gone.Publish(t.Context(), []Message{documentOf(6, 10)})[0]; !retried(err) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no program: %v", err)
	}
}

// TestStanInput holds what is written against the file that the tests of the program read.
func TestStanInput(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("../../sinks/stan/testdata/input.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, line := range []any{
		stanHello{
			Servers: []string{"nats://stan1:4222", "tls://stan2:4222"}, Cluster: "test", Client: "inventory_0-1", Topic: "nodes", User: "choria",
			Password: "secret", TLS: true, CA: "/ca.pem", Certificate: "/cert.pem", Key: "/key.pem",
		},
		programMessage{7, "a.1.n1.0", "n1", json.RawMessage(`{"protocol":"choria:adapters:natsstream:output:1"}`)},
	} {
		if err := json.NewEncoder(&got).Encode(line); err != nil {
			t.Fatal(err)
		}
	}
	if got.String() != string(want) {
		t.Errorf("%s\nwant %s", got.String(), want)
	}
}
