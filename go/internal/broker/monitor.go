package broker

import (
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"choria.io/choria/go/internal/metrics"
)

// monitor serves the endpoints of the NATS server by its own handlers; the server would want a port
// of its own for them.
func (b *Broker) monitor(w http.ResponseWriter, r *http.Request) {
	srv := b.srv.Load()
	if srv == nil {
		http.Error(w, "the broker is starting", http.StatusServiceUnavailable)
		return
	}
	switch r.URL.Path {
	case AboutPath:
		b.serveAbout(w)
	case server.RootPath:
		srv.HandleRoot(w, r)
	case server.VarzPath:
		srv.HandleVarz(w, r)
	case server.ConnzPath:
		srv.HandleConnz(w, r)
	case server.RoutezPath:
		srv.HandleRoutez(w, r)
	case server.GatewayzPath:
		srv.HandleGatewayz(w, r)
	case server.LeafzPath:
		srv.HandleLeafz(w, r)
	case server.SubszPath, "/subscriptionsz":
		srv.HandleSubsz(w, r)
	case server.StackszPath:
		srv.HandleStacksz(w, r)
	case server.AccountzPath:
		srv.HandleAccountz(w, r)
	case server.AccountStatzPath:
		srv.HandleAccountStatz(w, r)
	case server.JszPath:
		srv.HandleJsz(w, r)
	case server.HealthzPath:
		srv.HandleHealthz(w, r)
	case server.IPQueuesPath:
		srv.HandleIPQueuesz(w, r)
	case server.RaftzPath:
		srv.HandleRaftz(w, r)
	default:
		http.NotFound(w, r)
	}
}

// varzAge is how long the figures of the server are used again, so that one reading of all metrics
// asks once.
const varzAge = time.Second

// figures are the statistics of the server, read when somebody looks.
type figures struct {
	b *Broker

	mu    sync.Mutex
	varz  *server.Varz
	at    time.Time
	jsz   *server.JSInfo
	jszAt time.Time
}

func (f *figures) get() *server.Varz {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.varz != nil && time.Since(f.at) < varzAge {
		return f.varz
	}
	if srv := f.b.srv.Load(); srv != nil {
		if v, err := srv.Varz(nil); err == nil {
			f.varz, f.at = v, time.Now()
		}
	}
	if f.varz == nil {
		return &server.Varz{}
	}
	return f.varz
}

// streams returns the figures about streams.
func (f *figures) streams() *server.JSInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.jsz != nil && time.Since(f.jszAt) < varzAge {
		return f.jsz
	}
	f.jsz, f.jszAt = &server.JSInfo{}, time.Now()
	if srv := f.b.srv.Load(); srv != nil {
		if j, err := srv.Jsz(nil); err == nil {
			f.jsz = j
		}
	}
	return f.jsz
}

// describe adds the metrics of the broker. Source: protocol section 11.
func (b *Broker) describe(r *metrics.Registry) {
	f := &figures{b: b}
	gauge := func(name, help string, value func(*server.Varz) float64) {
		r.GaugeFunc("choria_network_"+name, help, func() float64 { return value(f.get()) }, "identity", b.cfg.Identity)
	}
	gauge("connections", "Nodes and clients connected now, and what this process connects to itself", func(v *server.Varz) float64 { return float64(v.Connections) })
	gauge("total_connections", "Connections accepted since the start", func(v *server.Varz) float64 { return float64(v.TotalConnections) })
	gauge("routes", "Connections to other brokers of the cluster", func(v *server.Varz) float64 { return float64(v.Routes) })
	gauge("remotes", "Other brokers of the cluster", func(v *server.Varz) float64 { return float64(v.Remotes) })
	gauge("leafnode_remotes", "Leafnodes connected", func(v *server.Varz) float64 { return float64(v.Leafs) })
	gauge("in_msgs", "Messages received", func(v *server.Varz) float64 { return float64(v.InMsgs) })
	gauge("out_msgs", "Messages sent", func(v *server.Varz) float64 { return float64(v.OutMsgs) })
	gauge("in_bytes", "Bytes of messages received", func(v *server.Varz) float64 { return float64(v.InBytes) })
	gauge("out_bytes", "Bytes of messages sent", func(v *server.Varz) float64 { return float64(v.OutBytes) })
	gauge("slow_consumers", "Connections closed because they did not keep up", func(v *server.Varz) float64 { return float64(v.SlowConsumers) })
	gauge("subscriptions", "Subscriptions", func(v *server.Varz) float64 { return float64(v.Subscriptions) })

	if b.cfg.StreamStore == "" {
		return
	}
	stream := func(name, help string, value func(*server.JSInfo) float64) {
		r.GaugeFunc("choria_network_stream_"+name, help, func() float64 { return value(f.streams()) }, "identity", b.cfg.Identity)
	}
	stream("enabled", "Whether streams work, 1 or 0", func(j *server.JSInfo) float64 {
		if j.Disabled || j.Config.StoreDir == "" || b.storeBroken.Load() {
			return 0
		}
		return 1
	})
	stream("memorystore_max", "Bytes that streams in memory may have", func(j *server.JSInfo) float64 { return float64(j.Config.MaxMemory) })
	stream("filestore_max", "Bytes that streams in files may have", func(j *server.JSInfo) float64 { return float64(j.Config.MaxStore) })
	stream("memorystore_used", "Bytes that streams in memory have", func(j *server.JSInfo) float64 { return float64(j.Memory) })
	stream("filestore_used", "Bytes that streams in files have", func(j *server.JSInfo) float64 { return float64(j.Store) })
	stream("streams", "Streams with a copy on this broker", func(j *server.JSInfo) float64 { return float64(j.Streams) })
	stream("consumers", "Consumers of those streams", func(j *server.JSInfo) float64 { return float64(j.Consumers) })
	stream("messages", "Messages in those streams", func(j *server.JSInfo) float64 { return float64(j.Messages) })
	stream("message_bytes", "Bytes of those messages", func(j *server.JSInfo) float64 { return float64(j.Bytes) })
}
