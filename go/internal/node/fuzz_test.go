package node

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/transport"
	"choria.io/choria/go/internal/vectors"
)

// anybody made every message, so that what comes after the signature is reached.
type anybody struct{}

func (anybody) Verify(message, signature, cert []byte, caller string, now time.Time) error {
	return nil
}

// Whatever arrives is counted once, by what became of it, and nothing panics.
func FuzzReceive(f *testing.F) {
	dir := vectors.Dir(f)
	for _, name := range []string{"crafted.json", "must_drop.json", "ruby.json"} {
		data, err := os.ReadFile(filepath.Join(dir, "v1", name))
		if err != nil {
			f.Fatal(err)
		}
		var records []struct {
			Payload []byte `json:"payload_base64"`
		}
		if err := json.Unmarshal(data, &records); err != nil {
			f.Fatal(err)
		}
		for _, rec := range records {
			f.Add(rec.Payload)
		}
	}
	cfg := config.New()
	cfg.Identity = "n1.example.net"
	var log bytes.Buffer
	f.Fuzz(func(t *testing.T, payload []byte) {
		log.Reset()
		n, err := New(Options{
			Config: cfg, Conn: silentConn{replies: make(chan []byte, 1)}, Verifier: anybody{},
			Now: func() time.Time { return time.Unix(1795351400, 0) }, // when crafted.json was made
			Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		n.receive(context.Background(), transport.Msg{Data: payload})
		<-n.work.close()
		s := n.stats
		if got := s.validated.Value() + s.unvalidated.Value() + s.filtered.Value() + s.expired.Value(); got != 1 || s.total.Value() != 1 {
			t.Errorf("%d of 1 message is accounted for", got)
		}
		if bytes.Contains(log.Bytes(), []byte("panic")) {
			t.Errorf("panic: %s", &log)
		}
	})
}
