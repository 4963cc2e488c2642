package ddl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample is a description with every kind of input.
const sample = `{"$schema":"https://choria.io/schemas/mcorpc/ddl/v1/agent.json",
 "metadata":{"name":"demo","description":"Demo","author":"a","license":"l","version":"1.0.0",
             "url":"u","timeout":20,"provider":"external","service":false},
 "actions":[{"action":"run","description":"Runs","display":"always",
   "input":{
     "msg":{"prompt":"Msg","description":"a message","type":"string","optional":false,"validation":"^[a-z]+$","maxlength":10},
     "safe":{"prompt":"p","description":"d","type":"string","optional":true,"validation":"shellsafe","maxlength":0},
     "any":{"prompt":"p","description":"d","type":"string","optional":true,"validation":"bolt_task_name","maxlength":5},
     "v4":{"prompt":"p","description":"d","type":"string","optional":true,"validation":"ipv4address","maxlength":0},
     "v6":{"prompt":"p","description":"d","type":"string","optional":true,"validation":"ipv6address","maxlength":0},
     "ip":{"prompt":"p","description":"d","type":"string","optional":true,"validation":"ipaddress","maxlength":0},
     "host":{"prompt":"p","description":"d","type":"string","optional":true,"validation":"nettest_fqdn","maxlength":80},
     "ruby":{"prompt":"p","description":"d","type":"string","optional":true,"validation":"^(?!root)","maxlength":80},
     "either":{"prompt":"p","description":"d","type":"string","optional":true,"validation":"yes|no","maxlength":0},
     "count":{"prompt":"p","description":"d","type":"integer","optional":true},
     "ratio":{"prompt":"p","description":"d","type":"number","optional":true},
     "delay":{"prompt":"p","description":"d","type":"float","optional":true,"default":1.5},
     "force":{"prompt":"p","description":"d","type":"boolean","optional":true,"default":"false"},
     "mode":{"prompt":"p","description":"d","type":"list","optional":true,"list":["one","two",3],"default":"two"},
     "tags":{"prompt":"p","description":"d","type":"Array","optional":true},
     "env":{"prompt":"p","description":"d","type":"Hash","optional":true,"default":null}},
   "output":{"out":{"description":"o","display_as":"Output","type":"string","default":"x"},"bare":{"description":"b","display_as":"Bare"}},
   "aggregate":[{"function":"summary","args":["out",{"format":"%s: %d"}]}]},
  {"action":"ping","description":"Pings","input":{},"output":{}}]}`

func mustParse(t testing.TB, text string) *Agent {
	t.Helper()
	a, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParse(t *testing.T) {
	a := mustParse(t, sample)
	want := Metadata{"demo", "Demo", "a", "l", "1.0.0", "u", 20, "external", false}
	if a.Metadata != want || a.Schema != Schema {
		t.Errorf("metadata %+v, schema %q; want %+v, %q", a.Metadata, a.Schema, want, Schema)
	}
	if got := a.ActionNames(); !reflect.DeepEqual(got, []string{"ping", "run"}) {
		t.Errorf("actions %q", got)
	}
	run := a.Action("run")
	if got, want := *run.Input["msg"], (Input{"Msg", "a message", "string", false, nil, "^[a-z]+$", 10, nil, false}); !reflect.DeepEqual(got, want) {
		t.Errorf("msg = %+v; want %+v", got, want)
	}
	if got := run.Input["mode"].List; !reflect.DeepEqual(got, []string{"one", "two", "3"}) {
		t.Errorf("mode list %q", got)
	}
	if run.Input["tags"].Type != "array" || run.Input["env"].Type != "hash" || run.Input["env"].Default != nil {
		t.Errorf("tags %+v, env %+v; want folded types and no default", run.Input["tags"], run.Input["env"])
	}
	if got := a.Action("ping").Display; got != "failed" {
		t.Errorf("display of ping %q; want failed", got)
	}
	if a.Action("Run") != nil || a.Action("") != nil {
		t.Error("Action finds what is not there")
	}
	if got := run.Defaults(); !reflect.DeepEqual(got, map[string]any{"out": "x"}) {
		t.Errorf("Defaults = %v", got)
	}
}

func TestTimeout(t *testing.T) {
	for seconds, want := range map[int]time.Duration{0: 10 * time.Second, 1: time.Second, 180: 3 * time.Minute} {
		a := mustParse(t, strings.Replace(sample, `"timeout":20`, fmt.Sprintf(`"timeout":%d`, seconds), 1))
		if got := a.Timeout(); got != want {
			t.Errorf("timeout %d = %v; want %v", seconds, got, want)
		}
	}
}

// What is written back is what was read: plugin doc -j prints it and programs read that.
func TestMarshal(t *testing.T) {
	for _, a := range append(Builtin(), BuiltinAgent("discovery"), mustParse(t, sample)) {
		data, err := json.MarshalIndent(a, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(data)
		if err != nil || !reflect.DeepEqual(a, again) {
			t.Errorf("%s: read back as %+v, %v", a.Metadata.Name, again, err)
		}
	}
	data, _ := json.Marshal(mustParse(t, sample).Action("run").Input["safe"])
	if want := `{"prompt":"p","description":"d","type":"string","optional":true,"validation":"shellsafe","maxlength":0}`; string(data) != want {
		t.Errorf("string input = %s; want %s", data, want)
	}
}

func TestParseTolerates(t *testing.T) {
	tests := []struct{ name, old, new string }{
		{"upper case type", `"type":"integer"`, `"type":"Integer"`},
		{"int", `"type":"integer"`, `"type":"int"`},
		{"flatten", `"display":"always"`, `"display":"flatten"`},
		{"no display", `"display":"always",`, ``},
		{"null display", `"display":"always"`, `"display":null`},
		{"fraction of zero", `"maxlength":10`, `"maxlength":10.0`},
		{"fraction of zero in the timeout", `"timeout":20`, `"timeout":2e1`},
		{"null optional", `"optional":false`, `"optional":null`},
		{"empty prompt", `"prompt":"Msg"`, `"prompt":""`},
		{"suffix of the version", `"version":"1.0.0"`, `"version":"1.0.0-rc1"`},
		{"star in the version", `"version":"1.0.0"`, `"version":"1.*"`},
		{"no service", `,"service":false`, ``},
		{"null provider", `"provider":"external"`, `"provider":null`},
		{"capitals in an input", `"msg":`, `"msgText":`},
		{"unknown keys", `"action":"run"`, `"action":"run","x":[1]`},
		{"no inputs", `"input":{},`, ``},
		{"null outputs", `"output":{}`, `"output":null`},
		{"aggregate arguments that are no array", `"args":["out",{"format":"%s: %d"}]`, `"args":"out"`},
		{"no aggregate arguments", `,"args":["out",{"format":"%s: %d"}]`, ``},
		{"unknown aggregate", `"function":"summary"`, `"function":"wonder"`},
		{"white space around", `{"$schema"`, " \n{\"$schema\""},
	}
	for _, tt := range tests {
		if !strings.Contains(sample, tt.old) {
			t.Fatalf("%s: %q is not in the sample", tt.name, tt.old)
		}
		if _, err := Parse([]byte(strings.Replace(sample, tt.old, tt.new, 1))); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ old, new, err string }{
		{`"name":"demo"`, `"name":"Demo"`, `agent description: metadata: name "Demo": want lower case letters, digits and underscores`},
		{`"name":"demo",`, ``, `agent description: metadata: name "": want lower case letters, digits and underscores`},
		{`"name":"demo"`, `"name":7`, `agent description: metadata: name: want a string, not a number`},
		{`"author":"a"`, `"author":""`, `agent "demo": metadata: author: missing`},
		{`"license":"l",`, ``, `agent "demo": metadata: license: missing`},
		{`"url":"u",`, ``, `agent "demo": metadata: url: missing`},
		{`"description":"Demo",`, ``, `agent "demo": metadata: description: missing`},
		{`"version":"1.0.0"`, `"version":"one"`, `agent "demo": metadata: version "one": want up to three numbers with dots between, as in 1.0.0`},
		{`"version":"1.0.0"`, `"version":"1.0.0.0"`, `agent "demo": metadata: version "1.0.0.0": want up to three numbers with dots between, as in 1.0.0`},
		{`"timeout":20,`, ``, `agent "demo": metadata: timeout: missing`},
		{`"timeout":20`, `"timeout":-1`, `agent "demo": metadata: timeout -1: want whole seconds up to 31536000`},
		{`"timeout":20`, `"timeout":1.5`, `agent "demo": metadata: timeout 1.5: want whole seconds up to 31536000`},
		{`"timeout":20`, `"timeout":1e300`, `agent "demo": metadata: timeout 1e+300: want whole seconds up to 31536000`},
		{`"timeout":20`, `"timeout":"20"`, `agent "demo": metadata: timeout: want a number, not a string`},
		{`"service":false`, `"service":"no"`, `agent "demo": metadata: service: want a boolean, not a string`},
		{`"action":"ping"`, `"action":"run"`, `agent "demo": action "run": described twice`},
		{`"action":"ping"`, `"action":"Ping"`, `agent "demo": action number 2: name "Ping": want lower case letters, digits and underscores`},
		{`"description":"Runs",`, ``, `agent "demo": action "run": description: missing`},
		{`"display":"always"`, `"display":"sometimes"`, `agent "demo": action "run": display "sometimes": want ok, failed or always`},
		{`"input":{},`, `"input":[],`, `agent "demo": action "ping": input: want an object, not an array`},
		{`"msg":`, `"m s":`, `agent "demo": action "run": input "m s": name: want letters, digits and underscores`},
		{`"prompt":"Msg",`, ``, `agent "demo": action "run": input "msg": prompt: missing`},
		{`"description":"a message",`, ``, `agent "demo": action "run": input "msg": description: missing`},
		{`"type":"integer",`, ``, `agent "demo": action "run": input "count": type: missing`},
		{`"type":"integer"`, `"type":"uuid"`, `agent "demo": action "run": input "count": type "uuid": want one of string, list, boolean, integer, float, number, hash, array`},
		{`"validation":"^[a-z]+$",`, ``, `agent "demo": action "run": input "msg": validation: missing, a string needs one`},
		{`,"maxlength":10`, ``, `agent "demo": action "run": input "msg": maxlength: missing, a string needs one`},
		{`"maxlength":10`, `"maxlength":-1`, `agent "demo": action "run": input "msg": maxlength -1: want a whole number that is not negative`},
		{`"list":["one","two",3],`, ``, `agent "demo": action "run": input "mode": list: missing, a list needs the values it may have`},
		{`"optional":false`, `"optional":1`, `agent "demo": action "run": input "msg": optional: want a boolean, not a number`},
		{`"display_as":"Output",`, ``, `agent "demo": action "run": output "out": display_as: missing`},
		{`"description":"o",`, ``, `agent "demo": action "run": output "out": description: missing`},
		{`"type":"string","default":"x"`, `"type":"uuid"`, `agent "demo": action "run": output "out": type "uuid": want one of string, list, boolean, integer, float, number, hash, array`},
		{`"function":"summary",`, ``, `agent "demo": action "run": aggregate number 1: function: missing`},
		{`"aggregate":[{`, `"aggregate":[7,{`, `agent "demo": action "run": aggregate number 1: want a JSON object`},
		{`"metadata":`, `"meta":`, `agent description: metadata: missing`},
		{`{"$schema"`, `[{"$schema"`, `agent description: want a JSON object`},
		{`"output":{}}]}`, `"output":{}}]`, `agent description: byte 2300: unexpected end of JSON input`},
		{`"output":{}}]}`, `"output":{}}]}{}`, `agent description: byte 2302: invalid character '{' after top-level value`},
	}
	for _, tt := range tests {
		if !strings.Contains(sample, tt.old) {
			t.Fatalf("%q is not in the sample", tt.old)
		}
		_, err := Parse([]byte(strings.Replace(sample, tt.old, tt.new, 1)))
		if message(err) != tt.err {
			t.Errorf("%s for %s:\n got %v\nwant %s", tt.new, tt.old, err, tt.err)
		}
	}
	if _, err := Parse(bytes.Repeat([]byte(" "), maxSize+1)); err == nil || !strings.Contains(err.Error(), "want at most") {
		t.Errorf("too large a description: %v", err)
	}
	for _, text := range []string{"", " ", "null", "7"} {
		if _, err := Parse([]byte(text)); message(err) != "agent description: want a JSON object" {
			t.Errorf("Parse(%q) = %v", text, err)
		}
	}
}

func TestBuiltin(t *testing.T) {
	// The actions of each agent, and per action its display, inputs and outputs.
	want := map[string]string{
		"bolt_tasks": `download failed environment,files!,task! downloads
run_and_wait failed files!,input,input_method,run_as,task! callerid,completed,exitcode,runtime,start_time,stderr,stdout,task,task_id
run_no_wait failed files!,input,input_method,run_as,task! task_id
task_status always task_id! callerid,completed,exitcode,runtime,start_time,stderr,stdout,task`,
		"choria_util": `info failed  choria_version,client_flavour,client_options,client_stats,client_version,connected_server,connector,connector_tls,facter_command,facter_domain,middleware_servers,path,secure_protocol,security,srv_domain,using_srv
machine_state ok instance,name,path available_transitions,current_state,id,name,path,scout,start_time,state,version
machine_states always  machine_ids,machine_names,states
machine_transition failed instance,name,path,transition!,version success`,
		"filemgr": `remove failed file 
status always dirlist,file atime,atime_seconds,ctime,ctime_seconds,dir_listing,gid,md5,mode,mtime,mtime_seconds,name,output,present,size,type,uid
touch failed file `,
		"nettest": `connect always fqdn!,port! connect,connect_status,connect_time
ping always fqdn! rtt`,
		"package": `apt_checkupdates always  exitcode,outdated_packages,output
apt_update failed  exitcode,outdated_packages,output
checkupdates always  exitcode,outdated_packages,output,package_manager
count failed  exitcode,output
install failed package!,version arch,ensure,epoch,name,output,provider,release,version
md5 failed  exitcode,output
purge failed package! arch,ensure,epoch,name,output,provider,release,version
refresh failed  exitcode,output
search always package! available_packages,package_count
status always package! arch,ensure,epoch,name,output,provider,release,version
uninstall failed package! arch,ensure,epoch,name,output,provider,release,version
update failed package! arch,ensure,epoch,name,output,provider,release,version
yum_checkupdates always  exitcode,outdated_packages,output
yum_clean failed mode exitcode,output`,
		"process": `list failed just_zombies,pattern,user pslist`,
		"rpcutil": `agent_inventory always  agents
collective_info always  collectives,main_collective
daemon_stats always  agents,configfile,events,filtered,passed,pid,replies,starttime,threads,times,total,ttlexpired,unvalidated,validated,version
get_config_item always item! item,value
get_data always query,source! 
get_fact always fact! fact,value
get_facts always facts! values
inventory always  agents,classes,collectives,data_plugins,facts,machines,main_collective,upgradable,version
ping always  pong`,
		"puppet": `disable failed message enabled,status
enable failed  enabled,status
last_run_summary always logs changed_resources,config_retrieval_time,config_version,corrected_resources,failed_resources,lastrun,logs,out_of_sync_resources,since_lastrun,summary,total_resources,total_time,type_distribution
resource always environment,name!,password,type! changed,result
runonce failed environment,force,ignoreschedules,noop,server,skip_tags,splay,splaylimit,tags,use_cached_catalog initiated_at,summary
status always  applying,daemon_present,disable_message,enabled,idling,lastrun,message,since_lastrun,status`,
		"service": `restart failed service! status
start failed service! status
status always service! status
stop failed service! status`,
		"shell": `kill always handle! 
list always  jobs
run always command!,timeout,user exitcode,stderr,stdout,success
start always command!,user handle
status always handle!,stderr_offset,stdout_offset exitcode,status,stderr,stdout`,
	}
	timeouts := map[string]int{"bolt_tasks": 60, "choria_util": 2, "filemgr": 5, "nettest": 60, "package": 180, "process": 10, "puppet": 20, "rpcutil": 2, "service": 60, "shell": 180}
	aggregates := map[string]string{
		"choria_util#info": "summary(choria_version) summary(client_flavour) summary(client_version) summary(connected_server)" +
			" summary(connector_tls) summary(secure_protocol) summary(srv_domain) summary(using_srv)",
		"choria_util#machine_state":  "summary(name) summary(state) summary(version)",
		"choria_util#machine_states": "summary(machine_names)",
		"nettest#connect":            "summary(connect_status)",
		"nettest#ping":               "nettest_mma(rtt)",
		"package#count":              "summary(output)",
		"package#install":            "summary(ensure)",
		"package#md5":                "summary(output)",
		"package#purge":              "summary(ensure)",
		"package#search":             "summary(package_count)",
		"package#status":             "summary(arch) summary(ensure)",
		"package#uninstall":          "summary(ensure)",
		"package#update":             "summary(ensure)",
		"process#list":               "process_summary(pslist)",
		"puppet#disable":             "boolean_summary(enabled)",
		"puppet#enable":              "boolean_summary(enabled)",
		"puppet#last_run_summary":    "average(config_retrieval_time) average(total_resources) average(total_time)",
		"puppet#resource":            "boolean_summary(changed)",
		"puppet#status":              "summary(applying) boolean_summary(daemon_present) boolean_summary(enabled) summary(idling) summary(status)",
		"service#restart":            "summary(status)",
		"service#start":              "summary(status)",
		"service#status":             "summary(status)",
		"service#stop":               "summary(status)",
		"rpcutil#collective_info":    "summary(collectives)",
		"rpcutil#daemon_stats":       "summary(agents) summary(version)",
		"rpcutil#get_config_item":    "summary(value)",
		"rpcutil#get_fact":           "summary(value)",
	}
	names := make([]string, 0, len(want))
	for _, a := range Builtin() {
		name := a.Metadata.Name
		names = append(names, name)
		if a.Metadata.Timeout != timeouts[name] {
			t.Errorf("%s: timeout %d; want %d", name, a.Metadata.Timeout, timeouts[name])
		}
		if BuiltinAgent(name) != a {
			t.Errorf("BuiltinAgent(%q) is another one", name)
		}
		var lines []string
		for _, act := range a.Actions {
			var in []string
			for _, input := range sortedKeys(act.Input) {
				if !act.Input[input].Optional {
					input += "!"
				}
				in = append(in, input)
			}
			lines = append(lines, fmt.Sprintf("%s %s %s %s", act.Name, act.Display, strings.Join(in, ","), strings.Join(sortedKeys(act.Output), ",")))
			var parts []string
			for _, s := range act.Aggregator().Summaries() {
				parts = append(parts, s.Function+"("+s.Output+")")
			}
			if got := strings.Join(parts, " "); got != aggregates[name+"#"+act.Name] {
				t.Errorf("%s#%s: aggregates %s; want %s", name, act.Name, got, aggregates[name+"#"+act.Name])
			}
		}
		if got := strings.Join(lines, "\n"); got != want[name] {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want[name])
		}
	}
	if got := sortedKeys(want); !reflect.DeepEqual(names, got) {
		t.Errorf("built in are %q; want %q", names, got)
	}
	if d := BuiltinAgent("discovery"); d == nil || len(d.Actions) != 0 || d.Metadata.Timeout != 2 {
		t.Errorf("discovery = %+v", d)
	}
	if BuiltinAgent("nope") != nil {
		t.Error("there is an agent nope")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"metadata":{"name":"a","timeout":1e400}}`))
	f.Add([]byte(`{"metadata":{"name":"a","description":"d","author":"a","license":"l","version":"*","url":"u","timeout":0},"actions":[{"action":"b","description":"","aggregate":[{"function":"chart","args":{"a":null}}]}]}`))
	for _, name := range builtinNames {
		data, err := builtinFiles.ReadFile("builtin/agent/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Parse(data)
		if err != nil {
			return
		}
		out, err := json.Marshal(a)
		if err != nil {
			t.Fatalf("parsed, but does not encode: %v", err)
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("%s does not parse: %v", out, err)
		}
		if out2, _ := json.Marshal(again); !bytes.Equal(out, out2) {
			t.Fatalf("is\n%s\nafter another round\n%s", out, out2)
		}
		for _, act := range a.Actions {
			act.Aggregator().Add(json.RawMessage(`{"a":1}`))
			act.Defaults()
		}
	})
}
