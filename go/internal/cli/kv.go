package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/streams"
)

// A kvCommand is one run of a command below kv.
type kvCommand struct {
	*env
	bucket   string
	key      string
	value    string
	revision uint64
	create   bool
	updates  bool
	asJSON   bool

	ttl         lasting
	history     int
	replicas    int
	description string
}

func addKV(e *env, app *kingpin.Application) {
	cmd := app.Command("kv", "Reads and writes key-value buckets, which brokers keep.")
	cmd.HelpLong(fmt.Sprintf(`Brokers keep buckets when plugin.choria.network.stream.store is set there. Keys are words separated by
dots; a pattern has * for a word and > for all that are left, as in app.>

Examples:
  %[1]s kv add config --history 5
  %[1]s kv put config app.version 1.2.3
  %[1]s kv get config app.version
  %[1]s kv watch config 'app.>'

Exit status: 1 for an error, also when a key or bucket is not there.
`, e.name))
	sub := func(name, help string, run func(*kvCommand) error, more func(*kvCommand, *kingpin.CmdClause)) {
		c := &kvCommand{env: e}
		k := cmd.Command(name, help)
		if name != "ls" {
			k.Arg("bucket", "Name of the bucket").Required().StringVar(&c.bucket)
		}
		more(c, k)
		k.Action(func(*kingpin.ParseContext) error { return run(c) })
	}
	key := func(c *kvCommand, k *kingpin.CmdClause) { k.Arg("key", "Name of the key").Required().StringVar(&c.key) }
	asJSON := func(c *kvCommand, k *kingpin.CmdClause) { k.Flag("json", "As JSON").Short('j').BoolVar(&c.asJSON) }

	sub("ls", "Lists buckets, or the keys of a bucket.", (*kvCommand).list, func(c *kvCommand, k *kingpin.CmdClause) {
		k.Arg("bucket", "Name of the bucket").StringVar(&c.bucket)
		k.Arg("pattern", "Keys that match").StringVar(&c.key)
		asJSON(c, k)
	})
	sub("get", "Prints the value of a key, as it is.", (*kvCommand).get, func(c *kvCommand, k *kingpin.CmdClause) {
		key(c, k)
		k.Flag("revision", "The value it had then").PlaceHolder("N").Uint64Var(&c.revision)
		asJSON(c, k)
	})
	sub("put", "Sets the value of a key.", (*kvCommand).put, func(c *kvCommand, k *kingpin.CmdClause) {
		key(c, k)
		k.Arg("value", "The value; - reads it from standard input").Required().StringVar(&c.value)
		k.Flag("create", "Only if the key has no value").BoolVar(&c.create)
		k.Flag("revision", "Only if that is the last revision of the key").PlaceHolder("N").Uint64Var(&c.revision)
		asJSON(c, k)
	})
	sub("del", "Deletes a key.", (*kvCommand).del, func(c *kvCommand, k *kingpin.CmdClause) {
		key(c, k)
		k.Flag("revision", "Only if that is the last revision of the key").PlaceHolder("N").Uint64Var(&c.revision)
	})
	sub("watch", "Prints values and their changes until it is interrupted.", (*kvCommand).watch, func(c *kvCommand, k *kingpin.CmdClause) {
		k.Arg("pattern", "Keys that match").StringVar(&c.key)
		k.Flag("updates", "Only what changes from now on").BoolVar(&c.updates)
		asJSON(c, k)
	})
	sub("add", "Makes a bucket.", (*kvCommand).add, func(c *kvCommand, k *kingpin.CmdClause) {
		k.Flag("ttl", "How long values live, otherwise for ever").PlaceHolder("DURATION").SetValue(&c.ttl)
		k.Flag("history", "How many values of a key are kept, up to 64").Default("1").IntVar(&c.history)
		k.Flag("replicas", "On how many brokers it is kept").Default("1").IntVar(&c.replicas)
		k.Flag("description", "What it is for").PlaceHolder("TEXT").StringVar(&c.description)
	})
	sub("rm", "Removes a bucket with all that is in it.", (*kvCommand).remove, func(c *kvCommand, k *kingpin.CmdClause) {})
}

// lasting is a flag that takes a duration, in seconds where no unit is given.
type lasting time.Duration

func (l *lasting) String() string { return "" }

// Set implements kingpin.Value.
func (l *lasting) Set(text string) error {
	d, err := config.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q: want a duration such as 30s, 2h or 1d", text)
	}
	*l = lasting(d)
	return nil
}

// An entryLine is a value in JSON.
type entryLine struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	payload
	Revision uint64    `json:"revision"`
	Created  time.Time `json:"created,omitzero"`
	Deleted  bool      `json:"deleted,omitempty"`
}

func lineOf(e streams.Entry) entryLine {
	l := entryLine{Bucket: e.Bucket, Key: e.Key, Revision: e.Revision, Created: e.Created.UTC(), Deleted: e.Deleted}
	if !e.Deleted {
		l.payload = payloadOf(e.Value)
	}
	return l
}

// with runs use with the bucket.
func (c *kvCommand) with(use func(*streams.Bucket, *config.Config) error) error {
	s, cfg, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	b, err := s.Bucket(c.ctx, c.bucket)
	if err != nil {
		return err
	}
	return use(b, cfg)
}

func (c *kvCommand) list() error {
	if c.bucket == "" {
		return c.buckets()
	}
	return c.with(func(b *streams.Bucket, _ *config.Config) error {
		keys, err := b.Keys(c.ctx, c.key)
		if err != nil {
			return err
		}
		if c.asJSON {
			return c.encode(keys)
		}
		for _, k := range keys {
			fmt.Fprintln(c.stdout, printable(k))
		}
		return nil
	})
}

// A bucketLine is a bucket in JSON.
type bucketLine struct {
	streams.BucketInfo
	TTL float64 `json:"ttl_seconds"` // 0: for ever
}

func (c *kvCommand) buckets() error {
	s, cfg, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.Buckets(c.ctx)
	if err != nil {
		return err
	}
	if c.asJSON {
		lines := []bucketLine{} // never null
		for _, b := range all {
			lines = append(lines, bucketLine{b, b.TTL.Seconds()})
		}
		return c.encode(lines)
	}
	rows := [][]string{}
	for _, b := range all {
		rows = append(rows, []string{b.Name, strconv.FormatUint(b.Values, 10), sizeText(b.Bytes), limitText(b.TTL), strconv.FormatInt(b.History, 10), strconv.Itoa(b.Replicas), b.Description})
	}
	screenOn(c.stdout, cfg.Color).table([]string{"Bucket", " Values", " Size", " Kept", " History", " Copies", "Description"}, rows)
	return nil
}

func (c *kvCommand) get() error {
	return c.with(func(b *streams.Bucket, _ *config.Config) (err error) {
		var e streams.Entry
		if c.revision > 0 {
			e, err = b.GetRevision(c.ctx, c.key, c.revision)
		} else {
			e, err = b.Get(c.ctx, c.key)
		}
		switch {
		case err != nil:
			return err
		case c.asJSON:
			return c.encode(lineOf(e))
		case terminal(c.stdout):
			_, err = fmt.Fprintln(c.stdout, printable(string(e.Value)))
		default:
			_, err = c.stdout.Write(e.Value)
		}
		return err
	})
}

// maxValue is how much of standard input is read: what fits into a message of any broker.
const maxValue = 64 << 20

func (c *kvCommand) put() error {
	if c.create && c.revision > 0 {
		return errors.New("--create: cannot be combined with --revision")
	}
	value := []byte(c.value)
	if c.value == "" && slices.Contains(c.args, "-") { // which kingpin hands on as nothing
		var err error
		value, err = io.ReadAll(io.LimitReader(c.stdin, maxValue+1))
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		if len(value) > maxValue {
			return fmt.Errorf("standard input: more than %s", sizeText(maxValue))
		}
	}
	return c.with(func(b *streams.Bucket, _ *config.Config) (err error) {
		var revision uint64
		switch {
		case c.create:
			revision, err = b.Create(c.ctx, c.key, value)
		case c.revision > 0:
			revision, err = b.Update(c.ctx, c.key, value, c.revision)
		default:
			revision, err = b.Put(c.ctx, c.key, value)
		}
		if err != nil || !c.asJSON {
			return err
		}
		return c.encode(map[string]any{"bucket": c.bucket, "key": c.key, "revision": revision})
	})
}

func (c *kvCommand) del() error {
	return c.with(func(b *streams.Bucket, _ *config.Config) error { return b.Delete(c.ctx, c.key, c.revision) })
}

func (c *kvCommand) watch() error {
	return c.with(func(b *streams.Bucket, cfg *config.Config) error {
		out := screenOn(c.stdout, cfg.Color)
		for e, err := range b.Watch(c.ctx, streams.Watch{Key: c.key, Updates: c.updates}) {
			switch {
			case err != nil:
				return err
			case c.asJSON:
				if err := c.encodeLine(lineOf(e)); err != nil {
					return err
				}
			case e.Deleted:
				out.printf("%s %s deleted\n", timeText(e.Created), out.paint(red, printable(e.Key)))
			default:
				out.printf("%s %s = %s\n", timeText(e.Created), out.paint(green, printable(e.Key)), printable(string(e.Value)))
			}
		}
		return nil // interrupted, which is how a watch ends
	})
}

func (c *kvCommand) add() error {
	s, _, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.CreateBucket(c.ctx, streams.BucketConfig{
		Name: c.bucket, Description: c.description, TTL: time.Duration(c.ttl), History: c.history, Replicas: c.replicas,
	})
	return err
}

func (c *kvCommand) remove() error {
	s, _, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	return s.DeleteBucket(c.ctx, c.bucket)
}
