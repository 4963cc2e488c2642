package broker

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/transport"
)

// Where a broker says what the NATS server does not know: by HTTP on the statistics port, and on the
// system account to whoever asks all brokers.
const (
	AboutPath    = "/choria/info"
	AboutSubject = "$SYS.REQ.SERVER.PING.CHORIA"
)

// about is what it says. The form is that of the answers of the NATS server.
type about struct {
	Server struct {
		Name string `json:"name"`
		ID   string `json:"id"`
	} `json:"server"`
	Data struct {
		Version string    `json:"version"`
		Commit  string    `json:"commit"`
		Expires time.Time `json:"certificate_expires,omitzero"`
		Peers   int       `json:"peers"` // other brokers of the cluster, as configured
		Store   string    `json:"stream_store,omitempty"`
		Broken  bool      `json:"stream_store_broken,omitempty"`
	} `json:"data"`
}

func (b *Broker) about() about {
	var a about
	a.Server.Name = b.cfg.Identity
	if srv := b.srv.Load(); srv != nil {
		a.Server.ID = srv.ID()
		a.Data.Peers = max(0, b.size-1)
	}
	a.Data.Version, a.Data.Commit, a.Data.Store = build.Version, build.Commit, b.cfg.StreamStore
	a.Data.Broken = b.storeBroken.Load()
	if b.o.Security != nil {
		a.Data.Expires = b.o.Security.Expires().UTC()
	}
	return a
}

func (b *Broker) serveAbout(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(b.about()) // an error is the reader's, who has gone
}

// answerAbout answers on the system account until ctx ends. Without a user of that account nobody can
// ask.
func (b *Broker) answerAbout(ctx context.Context) error {
	if b.cfg.SystemUser == "" {
		<-ctx.Done()
		return nil
	}
	conn, err := transport.Connect(ctx, transport.Options{
		InProcess: b.InProcess, Name: b.cfg.Identity + " info", User: b.cfg.SystemUser, Password: b.cfg.SystemPassword, Log: b.log,
	})
	if err != nil {
		return nil // ctx has ended, nothing else keeps it from connecting
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Subscribe(AboutSubject, "", 0, func(m transport.Msg) {
		if m.Reply == "" {
			return
		}
		data, err := json.Marshal(b.about())
		if err == nil {
			err = conn.Publish(m.Reply, data)
		}
		if err != nil {
			b.log.Warn("a question about this broker was not answered", "err", err)
		}
	}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
