package streams

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// governorPrefix begins the names of streams that are governors.
const governorPrefix = "GOVERNOR_"

// codeFull is the error of a stream that takes no more, by what it says: all errors of storing share it.
// Source: errors.json of the NATS server, JSStreamStoreFailedF, and ErrMaxMsgs.
const (
	codeFull = 10077
	fullText = "maximum messages exceeded"
)

// ErrFull says that all slots of a governor are taken.
var ErrFull = errors.New("all slots are taken")

// A GovernorConfig describes a governor, which lets so many do something at the same time.
type GovernorConfig struct {
	Name       string // letters, digits, - and _
	Collective string // whose nodes and clients it is for
	Slots      int    // how many may

	// Expire is how long a slot may be held: who has not left by then, for having died above all, is
	// taken for gone.
	Expire time.Duration

	Replicas int // on how many brokers it is kept; zero means 1
}

// A GovernorInfo says what a governor is, and who has its slots.
type GovernorInfo struct {
	Name     string        `json:"governor"`
	Slots    int64         `json:"slots"`
	Expire   time.Duration `json:"-"`
	Replicas int           `json:"replicas"`
	Subject  string        `json:"subject"`
	Taken    uint64        `json:"taken"`
}

// A Holder has a slot.
type Holder struct {
	Name     string    `json:"name"`
	Sequence uint64    `json:"sequence"`
	Since    time.Time `json:"since"`
}

// A Governor is a stream that takes as many messages as there are slots: who has a message in it has a
// slot. Processes of other Choria releases take part in the same way.
type Governor struct {
	conn    *Conn
	stream  jetstream.Stream
	name    string
	subject string
}

func governorNamed(name string) string { return fmt.Sprintf("governor %q", name) }

// GovernorSubject returns the subject of a governor. Source: protocol section 6.
func GovernorSubject(collective, name string) string { return collective + ".governor." + name }

// Governor returns an existing governor; ErrNotFound says that there is none.
func (c *Conn) Governor(ctx context.Context, name string) (*Governor, error) {
	js, err := c.js()
	if err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, governorPrefix+name)
	if err != nil {
		return nil, explain(ctx, governorNamed(name), badName(err))
	}
	subjects := s.CachedInfo().Config.Subjects
	if len(subjects) != 1 || strings.ContainsAny(subjects[0], "*>") {
		return nil, &Error{governorNamed(name), fmt.Errorf("stream %s has the subjects %q, a governor has one", governorPrefix+name, subjects)}
	}
	return &Governor{c, s, name, subjects[0]}, nil
}

// SetGovernor makes a governor, or changes one that is there. Who has a slot keeps it.
func (c *Conn) SetGovernor(ctx context.Context, cfg GovernorConfig) error {
	js, err := c.js()
	if err != nil {
		return err
	}
	what := governorNamed(cfg.Name)
	switch {
	case cfg.Name == "" || strings.ContainsAny(cfg.Name, ".*> \t\r\n"):
		return &Error{what, errors.New("want a name without dots, spaces and wildcards")}
	case cfg.Slots < 1:
		return &Error{what, fmt.Errorf("%d slots: want 1 or more", cfg.Slots)}
	case cfg.Expire < time.Second:
		return &Error{what, fmt.Errorf("slots that expire after %v: want 1s or more", cfg.Expire)}
	}
	s := jetstream.StreamConfig{
		Name: governorPrefix + cfg.Name, Subjects: []string{GovernorSubject(cfg.Collective, cfg.Name)},
		Description: "Choria governor " + cfg.Name,
		MaxMsgs:     int64(cfg.Slots), MaxAge: cfg.Expire, Discard: jetstream.DiscardNew,
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: max(cfg.Replicas, 1),
		Duplicates: min(cfg.Expire, 2*time.Minute),
	}
	_, err = js.CreateOrUpdateStream(ctx, s)
	return explain(ctx, what, badName(err))
}

// DeleteGovernor removes a governor: nobody waits for it any more.
func (c *Conn) DeleteGovernor(ctx context.Context, name string) error {
	if _, err := c.Governor(ctx, name); err != nil {
		return err
	}
	return c.Delete(ctx, governorPrefix+name)
}

// Governors returns all governors, sorted by name.
func (c *Conn) Governors(ctx context.Context) ([]GovernorInfo, error) {
	js, err := c.js()
	if err != nil {
		return nil, err
	}
	all := []GovernorInfo{}
	found := js.ListStreams(ctx)
	for info := range found.Info() {
		if strings.HasPrefix(info.Config.Name, governorPrefix) {
			all = append(all, governorInfo(info))
		}
	}
	if err := found.Err(); err != nil {
		return nil, explain(ctx, "governors", err)
	}
	slices.SortFunc(all, func(a, b GovernorInfo) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func governorInfo(info *jetstream.StreamInfo) GovernorInfo {
	return GovernorInfo{
		Name: strings.TrimPrefix(info.Config.Name, governorPrefix), Slots: info.Config.MaxMsgs, Expire: info.Config.MaxAge,
		Replicas: info.Config.Replicas, Subject: strings.Join(info.Config.Subjects, ", "), Taken: info.State.Msgs,
	}
}

// Info asks the broker what the governor is.
func (g *Governor) Info(ctx context.Context) (GovernorInfo, error) {
	info, err := g.stream.Info(ctx)
	if err != nil {
		return GovernorInfo{}, explain(ctx, governorNamed(g.name), err)
	}
	return governorInfo(info), nil
}

// Holders returns who has a slot, who has it longest first.
func (g *Governor) Holders(ctx context.Context) ([]Holder, error) {
	all := []Holder{}
	for m, err := range g.conn.Messages(ctx, governorPrefix+g.name, View{}) {
		if err != nil {
			return nil, err
		}
		all = append(all, Holder{string(m.Data), m.Sequence, m.Time})
	}
	return all, nil
}

// Try takes a slot in the name of who, and returns its number. ErrFull says that there is none.
func (g *Governor) Try(ctx context.Context, who string) (slot uint64, err error) {
	js, err := g.conn.js()
	if err != nil {
		return 0, err
	}
	ack, err := js.PublishMsg(ctx, &nats.Msg{Subject: g.subject, Data: []byte(who)})
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeFull && strings.Contains(api.Description, fullText) {
		return 0, &Error{governorNamed(g.name), ErrFull}
	}
	if err != nil {
		return 0, explain(ctx, governorNamed(g.name), err)
	}
	return ack.Sequence, nil
}

// Enter waits for a slot, asking once in interval, and returns its number. An interval of zero is 5 s.
func (g *Governor) Enter(ctx context.Context, who string, interval time.Duration) (slot uint64, err error) {
	if interval <= 0 {
		interval = 5 * time.Second
	}
	for {
		slot, err = g.Try(ctx, who)
		if err == nil || ctx.Err() != nil || !errors.Is(err, ErrFull) && !errors.Is(err, ErrSilent) {
			return slot, err
		}
		select {
		case <-time.After(interval - rand.N(interval/4+1)): // not all who wait at once
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Leave gives a slot back; one that has expired, or that somebody has taken away, is no error.
func (g *Governor) Leave(ctx context.Context, slot uint64) error {
	err := g.stream.DeleteMsg(ctx, slot)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // the library keeps the reason to itself
		if _, got := g.stream.GetMsg(ctx, slot); errors.Is(got, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	return explain(ctx, fmt.Sprintf("%s, slot %d", governorNamed(g.name), slot), err)
}

// Evict takes a slot away, and returns whose it was. That one is not told.
func (g *Governor) Evict(ctx context.Context, slot uint64) (who string, err error) {
	what := fmt.Sprintf("%s, slot %d", governorNamed(g.name), slot)
	m, err := g.stream.GetMsg(ctx, slot)
	if err != nil {
		return "", explain(ctx, what, err)
	}
	return string(m.Data), explain(ctx, what, g.stream.DeleteMsg(ctx, slot))
}
