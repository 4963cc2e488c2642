package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/transport"
)

// An rpcCommand is one run of the command rpc.
type rpcCommand struct {
	*env
	discoveryFlags

	words  [2]string // the first two arguments, which are inputs when flags name agent or action
	more   []string  // inputs that flags give
	agent  string
	action string
	inputs []string

	limit      string
	one        bool
	limitSeed  int64
	batch      string
	batchSleep seconds
	timeout    seconds
	ttl        seconds
	replyTo    string
	noResults  bool

	quietly    bool
	verbose    bool
	noProgress bool
	display    string
	asJSON     bool
	asLines    bool
	asTable    bool
	senders    bool
	sorted     bool
	output     string
	expression string
}

func addRPC(e *env, app *kingpin.Application) {
	c := &rpcCommand{env: e}
	cmd := app.Command("rpc", "Runs an action of an agent on nodes and shows their replies.").Alias("req").Alias("request")
	cmd.HelpLong(fmt.Sprintf(`Nodes are found by the filter flags, by --nodes, by another discovery method, or in
the result of an earlier request on standard input: %[1]s rpc ... -j | %[1]s rpc ...
Inputs are checked against the description of the agent before anything is sent; see
%[1]s plugin doc AGENT.

Examples:
  %[1]s rpc rpcutil ping
  %[1]s rpc rpcutil get_fact fact=os.family -C role::web
  %[1]s rpc puppet runonce --batch 10 --batch-sleep 30 -F country=uk
  %[1]s rpc service restart service=httpd --limit 25%% -W "role::web env=prod"
  %[1]s rpc shell run command=uptime --display all --sort -I /^web/
  %[1]s rpc rpcutil ping --filter-replies 'data("pong") > 1700000000' --senders

Exit status:
  0  no reply says that the action failed; nodes that did not answer are listed, and
     no_responses of --json names them; with --reply-to: the request was sent
  1  an error, also a connection that was lost for good, or no nodes were found
  2  some replies say that the action failed; or the value of an option is no good, and
     nothing was sent
  3  none of the nodes that were asked answered
`, e.name))
	cmd.Arg("agent", "Agent").StringVar(&c.words[0])
	cmd.Arg("action", "Action").StringVar(&c.words[1])
	cmd.Arg("inputs", "Inputs of the action, name=value").StringsVar(&c.inputs)
	cmd.Flag("agent", "The agent, in place of the first argument").Short('a').PlaceHolder("AGENT").StringVar(&c.agent)
	cmd.Flag("action", "The action, in place of the next argument").PlaceHolder("ACTION").StringVar(&c.action)
	cmd.Flag("arg", "An input, as among the arguments (repeatable)").PlaceHolder("NAME=VALUE").StringsVar(&c.more)
	cmd.Flag("argument", "").Hidden().StringsVar(&c.more)

	c.discoveryFlags.add(cmd)
	cmd.Flag("limit", "Ask only so many of the nodes found, or so many percent of them").PlaceHolder("N|N%").StringVar(&c.limit)
	cmd.Flag("ln", "").Hidden().StringVar(&c.limit)
	cmd.Flag("limit-nodes", "").Hidden().StringVar(&c.limit)
	cmd.Flag("one", "Ask only one of the nodes found").Short('1').BoolVar(&c.one)
	cmd.Flag("limit-seed", "With rpclimitmethod = random, choose the same nodes each time; 0 chooses anew").PlaceHolder("N").Int64Var(&c.limitSeed)
	cmd.Flag("batch", "Ask so many nodes at once, or so many percent of them").PlaceHolder("N|N%").StringVar(&c.batch)
	cmd.Flag("batch-sleep", "Time between batches, 1 s").PlaceHolder("SECONDS").SetValue(&c.batchSleep)
	cmd.Flag("timeout", "Time to wait for replies; the discovery timeout and the timeout of the agent together").Short('t').PlaceHolder("SECONDS").SetValue(&c.timeout)
	cmd.Flag("ttl", "How long after it was made nodes may start the request").PlaceHolder("SECONDS").SetValue(&c.ttl)
	cmd.Flag("reply-to", "Have the nodes reply to this subject; prints the request id and does not wait").Short('r').PlaceHolder("SUBJECT").StringVar(&c.replyTo)

	cmd.Flag("no-results", "Send the request, print its id, and neither wait for replies nor show any").BoolVar(&c.noResults)
	cmd.Flag("nr", "").Hidden().BoolVar(&c.noResults)
	c.addConnection(cmd)

	cmd.Flag("verbose", "Show whole replies and all statistics").Short('v').BoolVar(&c.verbose)
	cmd.Flag("quiet", "Show only replies, summaries and the last line, not what is going on").Short('q').BoolVar(&c.quietly)
	cmd.Flag("display", "Which replies to show: ok, failed, all or none; otherwise what the action says").PlaceHolder("WHICH").EnumVar(&c.display, "ok", "failed", "all", "none")
	cmd.Flag("json", "One JSON document").Short('j').BoolVar(&c.asJSON)
	cmd.Flag("jsonl", "A JSON document a line, as things happen").BoolVar(&c.asLines)
	cmd.Flag("table", "A table of the good replies").BoolVar(&c.asTable)
	cmd.Flag("senders", "Only the names of the nodes with good replies").BoolVar(&c.senders)
	cmd.Flag("sort", "Sort replies by sender").BoolVar(&c.sorted)
	cmd.Flag("output-file", "Write replies there").Short('o').PlaceHolder("FILE").StringVar(&c.output)
	cmd.Flag("filter-replies", "Show only replies for which an expression is true, such as 'ok() && data(\"value\") > 5'").PlaceHolder("EXPR").StringVar(&c.expression)
	cmd.Flag("np", "No progress bar").BoolVar(&c.noProgress)
	cmd.Flag("no-progress", "").Hidden().BoolVar(&c.noProgress)
	cmd.Flag("workers", "").Hidden().Int() // one connection carries what three did
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

// A call is an action with its inputs, checked as far as that goes without the network.
type call struct {
	agent  *ddl.Agent
	action *ddl.Action
	inputs map[string]any
}

// call finds an action and makes values of its inputs.
func (e *env) call(c *client.Client, agent, name string, inputs []string) (*call, error) {
	d, err := c.DDL(agent)
	if err != nil {
		var missing *ddl.NotFoundError
		if errors.As(err, &missing) {
			known, _ := c.DDLs()
			names := make([]string, len(known))
			for i, k := range known {
				names[i] = k.Metadata.Name
			}
			if near := nearest(agent, names); near != "" {
				return nil, withHint(err, "did you mean %s? %s plugin doc lists all agents", near, e.name)
			}
		}
		return nil, err
	}
	a := d.Action(name)
	if a == nil {
		names := d.ActionNames()
		text := "its actions are " + strings.Join(names, ", ")
		if near := nearest(name, names); near != "" {
			text = "did you mean " + near + "? " + text
		}
		return nil, withHint(fmt.Errorf("agent %q: no action %q", agent, name), "%s", text)
	}
	text := map[string]string{}
	for _, pair := range inputs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("input %q: want name=value", pair)
		}
		text[key] = value
	}
	typed, err := d.Arguments(name, text)
	if err != nil {
		var h hinter
		if !errors.As(err, &h) {
			err = withHint(err, "%s plugin doc %s describes the inputs", e.name, agent)
		}
		return nil, err
	}
	return &call{d, a, typed}, nil
}

func (c *rpcCommand) run() error {
	p, err := c.format()
	if err != nil {
		return err
	}
	if err := c.name(); err != nil {
		return p.failed(err)
	}
	if err := c.check(); err != nil {
		return p.failed(err)
	}
	cl, err := c.open()
	if err != nil {
		return p.failed(err)
	}
	defer cl.Close()
	return p.failed(c.request(cl, p))
}

// name makes agent, action and inputs of what arguments and flags say.
func (c *rpcCommand) name() error {
	words := append(slices.DeleteFunc(c.words[:], func(w string) bool { return w == "" }), c.inputs...)
	for _, part := range []struct {
		what   string
		target *string
	}{{"agent", &c.agent}, {"action", &c.action}} {
		if *part.target != "" {
			continue
		}
		if len(words) == 0 {
			return withHint(fmt.Errorf("required argument '%s' not provided", part.what), "run %s rpc --help", c.env.name)
		}
		*part.target, words = words[0], words[1:]
	}
	c.inputs = append(words, c.more...)
	return nil
}

// check refuses options that are no good before anybody is asked for anything.
func (c *rpcCommand) check() error {
	if _, err := c.filter(); err != nil {
		return err
	}
	if err := (client.Limit{Count: c.limit}).Check(); err != nil {
		return &exit{exitValue, fmt.Errorf("--%w", err)}
	}
	if c.replyTo != "" && !transport.ValidSubject(c.replyTo) {
		return badValue("--reply-to", c.replyTo, errors.New("want words between dots, without spaces and wildcards"))
	}
	_, err := batchSize(c.batch, 1)
	return err
}

// request makes the request and has p show what comes of it.
func (c *rpcCommand) request(cl *client.Client, p format) (err error) {
	a, err := c.call(cl, c.agent, c.action, c.inputs)
	if err != nil {
		return err
	}
	replies, err := client.ParseReplyFilter(c.expression)
	if err != nil {
		return withHint(fmt.Errorf("--filter-replies: %w", err),
			"it may use msg, code, data(path), sender(), time(), ok(), aborted(), unknown_action(), missing_data(), invalid_data(), unknown_error(), include(list, item), semver(version, constraint)")
	}
	out, done, err := c.destination()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()

	s := &show{cmd: c, call: a, out: screenOn(out, colored(cl)), console: screenOn(c.stdout, colored(cl))}
	p.begin(s)
	r, err := c.target(cl, a, s, p)
	if err != nil {
		return err
	}
	r.Agent, r.Action, r.Data = c.agent, c.action, a.inputs
	r.Timeout, r.TTL, r.BatchSleep = time.Duration(c.timeout), time.Duration(c.ttl), time.Duration(c.batchSleep)
	r.ReplyTo, r.NoReplies = c.replyTo, c.noResults
	if r.Timeout == 0 {
		// A longer discovery means a slow network, in which replies take as long.
		r.Timeout = c.patience(cl) + a.agent.Timeout()
	}
	run, err := cl.Start(c.ctx, r)
	if err != nil {
		return err
	}
	if c.replyTo != "" || c.noResults {
		fmt.Fprintln(out, run.ID())
		return nil
	}
	for reply := range run.Replies() {
		p.arrived()
		if replies.Match(reply) {
			s.aggregator().Add(withDefaults(a.action, reply.Data))
			if err := p.reply(reply); err != nil {
				return err
			}
		}
	}
	s.stats = run.Stats()
	if err := p.end(); err != nil {
		return err
	}
	return outcome(run)
}

// outcome returns the error that stands for how the request went.
func outcome(run *client.Run) error {
	s := run.Stats()
	switch {
	case run.Err() != nil:
		return run.Err()
	case s.Failed > 0:
		return &exit{code: exitSomeFailed}
	case s.Responses == 0 && len(s.NoResponse) > 0:
		return &exit{code: exitSilent}
	}
	return nil
}

// target finds the nodes and returns a request to them.
func (c *rpcCommand) target(cl *client.Client, a *call, s *show, p format) (client.Request, error) {
	if a.agent.Metadata.Service {
		if c.given() || c.nodes != "" {
			return client.Request{}, fmt.Errorf("agent %q: a service takes no filter, since any of its nodes answers", c.agent)
		}
		s.discovered = 1
		return client.Request{Collective: c.collective}, nil
	}
	d, err := c.discovery(c.agent)
	if err != nil {
		return client.Request{}, err
	}
	if err := c.chain(&d, c.given()); err != nil {
		return client.Request{}, err
	}
	if on, _ := cl.Setting("plugin.choria.require_client_filter"); !c.given() && c.nodes == "" && d.Method == "" && truthy(on) {
		return client.Request{}, withHint(errors.New("this client is configured to refuse requests without a filter"), "say which nodes with -F, -C, -I, -S or --nodes (plugin.choria.require_client_filter is set)")
	}
	s.method = cl.Method(d)
	p.discovering()
	start := time.Now()
	nodes, err := cl.Discover(c.ctx, d)
	if err != nil {
		return client.Request{}, err
	}
	limit := client.Limit{Count: c.limit, Seed: c.limitSeed}
	if c.one {
		limit.Count = "1"
	}
	limit.Method, _ = cl.Setting("rpclimitmethod")
	if len(nodes) > 0 {
		if nodes, err = limit.Of(nodes); err != nil {
			return client.Request{}, err
		}
	}
	s.discoveryTime = time.Since(start)
	s.discovered = len(nodes)
	if err := p.found(); err != nil {
		return client.Request{}, err
	}
	if len(nodes) == 0 {
		return client.Request{}, noNodes(d)
	}
	size, err := batchSize(c.batch, len(nodes))
	if err != nil {
		return client.Request{}, err
	}
	r := client.Request{Nodes: nodes, Collective: c.collective, BatchSize: size}
	if s.method == client.Broadcast {
		// Nodes decide again: one that has changed in the meantime is left alone. The names given
		// to other methods may mean something to those alone.
		r.Filter = d.Filter
	}
	return r, nil
}

// noNodes is the error of a discovery that found nobody.
func noNodes(d client.Discovery) error {
	cure := "check the filter with find; are the nodes connected, and in this collective?"
	if d.Filter.Empty() {
		cure = "are nodes connected to this broker, and in this collective?"
	}
	return withHint(client.ErrNoNodes, "%s", cure)
}

// patience is how long the user is ready to wait for an answer.
func (c *rpcCommand) patience(cl *client.Client) time.Duration {
	if c.discoveryFlags.timeout > 0 {
		return time.Duration(c.discoveryFlags.timeout)
	}
	return cl.DiscoveryTimeout()
}

// batchSize returns how many of total nodes are in a batch, percentages rounded up.
func batchSize(text string, total int) (int, error) {
	if text == "" {
		return 0, nil
	}
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || percent && n > 100 {
		return 0, &exit{exitValue, fmt.Errorf("--batch %q: want a number of nodes, or a percentage as in 25%%", text)}
	}
	if percent {
		n = (total*n + 99) / 100
	}
	return n, nil
}

// destination returns where replies are written to, and what completes it.
func (c *rpcCommand) destination() (io.Writer, func() error, error) {
	if c.output == "" {
		return c.stdout, func() error { return nil }, nil
	}
	f, err := os.Create(c.output)
	if err != nil {
		return nil, nil, fmt.Errorf("output file: %w", err)
	}
	w := bufio.NewWriter(f)
	return w, func() error { return errors.Join(w.Flush(), f.Close()) }, nil
}

// shown reports whether the user wants to see a reply.
func (c *rpcCommand) shown(a *call, status agent.Status) bool {
	which := c.display
	if which == "" {
		which = a.action.Display
	}
	switch which {
	case "all", "always":
		return true
	case "none":
		return false
	case "ok":
		return status == agent.OK
	}
	return status != agent.OK
}

// nearest returns the candidate that name is most likely a slip of, empty when none is near.
func nearest(name string, candidates []string) string {
	best, at := "", 1+max(1, len(name)/3)
	for _, c := range candidates {
		d := distance(name, c)
		if strings.HasPrefix(c, name) && len(name) > 2 {
			d = 1
		}
		if d < at {
			best, at = c, d
		}
	}
	return best
}

// distance counts the letters to insert, remove, replace or swap to get from a to b.
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(last[j+1]+1, next[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, last = last, next
	}
	return last[len(b)]
}

// truthy reports whether a configuration value means yes.
func truthy(text string) bool {
	return slices.Contains([]string{"1", "y", "yes", "t", "true"}, strings.ToLower(text))
}
