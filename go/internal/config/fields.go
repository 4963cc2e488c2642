package config

import (
	"io/fs"
	"time"
)

// A Config is what is in force for one process. It is changed only by the functions that make it and
// by Set; everything else may read it concurrently and must not change its slices.
//
// Each field is described where its key is, in the tags, and so is every key that is kept as text
// because what it is for is elsewhere (a blank field; read it with Raw). The tags are:
//
//	key      the key; * stands for a name of the user's
//	type     the form of the text where the Go type does not say it: see Key.Type
//	default  the default, written as in a file
//	derived  the default in words, where it depends on the machine or on other keys
//	enum     the accepted words
//	min max  bounds of a number or duration; cap is a bound that a larger value is lowered to
//	alias    another spelling of old files
//	env      the environment variable that wins over all files
//	scope    who reads it: S server, B broker, C client
//	doc      what it is for, one sentence without a full stop
type Config struct {
	_ struct{} `section:"This process"`

	Identity    string   `key:"identity" type:"identity" derived:"full host name" scope:"SBC" doc:"Name of this node or process on the network"`
	LogFile     string   `key:"logfile" type:"path" default:"stdout" scope:"SBC" doc:"Where to log: a file, which gets JSON lines, or stdout, stderr or discard"`
	LogLevel    string   `key:"loglevel" enum:"debug info warn error fatal" default:"info" scope:"SBC" doc:"Least level that is logged"`
	LibDirs     []string `key:"libdir" type:"paths" scope:"SC" doc:"Directories that hold agents and their DDL files"`
	ClassesFile string   `key:"classesfile" type:"path" default:"/opt/puppetlabs/puppet/cache/state/classes.txt" scope:"S" doc:"File with one class of this node a line"`
	FactFiles   []string `key:"plugin.yaml" type:"paths" scope:"S" doc:"Fact files, YAML or JSON; later ones win"`
	Color       bool     `key:"color" default:"true" scope:"C" doc:"Colours in output to a terminal"`

	SoftShutdownTimeout time.Duration `key:"soft_shutdown_timeout" default:"2" scope:"S" doc:"How long requests in progress may take to finish when the server stops"`

	_ struct{} `section:"Collectives and requests"`

	Collectives    []string      `key:"collectives" type:"collectives" derived:"mcollective; choria with the security provider choria" scope:"SC" doc:"Collectives that a server joins or a client may address"`
	MainCollective string        `key:"main_collective" type:"collective" derived:"the first of collectives" scope:"SC" doc:"Collective that is used when a request names none"`
	TTL            time.Duration `key:"ttl" default:"60" min:"1s" scope:"SC" doc:"How long after it was made a request may be started; protocol v1 asks for at least 30 s"`

	_ struct{} `section:"Brokers to connect to"`

	MiddlewareHosts       []string      `key:"plugin.choria.middleware_hosts" type:"hosts" derived:"SRV records, then puppet:4222" scope:"SBC" doc:"Brokers to connect to"`
	UseSRV                bool          `key:"plugin.choria.use_srv" alias:"plugin.choria.use_srv_records" default:"true" scope:"SBC" doc:"Find brokers and other services by SRV records where no addresses are configured"`
	SRVDomain             string        `key:"plugin.choria.srv_domain" derived:"domain of this machine" env:"CHORIA_SRV_DOMAIN" scope:"SBC" doc:"Domain of the SRV records"`
	FederationCollectives []string      `key:"plugin.choria.federation.collectives" env:"CHORIA_FED_COLLECTIVE" scope:"C" doc:"Federated collectives that requests go to; empty means the network is not federated"`
	FederationHosts       []string      `key:"plugin.choria.federation_middleware_hosts" type:"hosts" derived:"SRV records" scope:"BC" doc:"Brokers of the federation"`
	FederationCluster     string        `key:"plugin.choria.federation.cluster" type:"collective" default:"mcollective" scope:"B" doc:"Name that federated clients call this site by"`
	NATSUser              string        `key:"plugin.nats.user" env:"MCOLLECTIVE_NATS_USERNAME" scope:"SBC" doc:"User name for the broker, beside the certificate"`
	NATSPassword          string        `key:"plugin.nats.pass" env:"MCOLLECTIVE_NATS_PASSWORD" scope:"SBC" doc:"Password of that user"`
	NATSCredentials       string        `key:"plugin.nats.credentials" type:"path" env:"MCOLLECTIVE_NATS_CREDENTIALS" scope:"SBC" doc:"NATS credentials file"`
	ConnectTimeout        time.Duration `key:"plugin.choria.network.connect_timeout" default:"2s" min:"1ms" cap:"120s" scope:"SC" doc:"How long one attempt to connect may take"`

	_ struct{} `section:"Security"`

	SecurityProvider   string   `key:"plugin.security.provider" enum:"puppet file pkcs11 certmanager choria" default:"puppet" scope:"SBC" doc:"Where the identity of this process comes from"`
	SSLDir             string   `key:"plugin.choria.ssldir" type:"path" derived:"Puppet's ssldir: /etc/puppetlabs/puppet/ssl or that of the distribution as root, ~/.puppetlabs/etc/puppet/ssl as another user" scope:"SBC" doc:"Directory of certificates and keys for the security provider puppet"`
	Certificate        string   `key:"plugin.security.file.certificate" type:"path" scope:"SBC" doc:"Certificate for the security provider file"`
	CertificateKey     string   `key:"plugin.security.file.key" type:"path" scope:"SBC" doc:"Private key for the security provider file"`
	CA                 string   `key:"plugin.security.file.ca" type:"path" scope:"SBC" doc:"Certificates of the trusted authorities for the security provider file"`
	CRL                string   `key:"plugin.security.file.crl" type:"path" derived:"with the security provider puppet its crl.pem where there is one" scope:"SBC" doc:"Revoked certificates; read again when the file changes"`
	PrivilegedUsers    []string `key:"plugin.choria.security.privileged_users" type:"regexps" default:"\\.privileged.mcollective$,\\.privileged.choria$" scope:"S" doc:"Certificate names that may make requests in the name of any caller"`
	AllowedCertnames   []string `key:"plugin.choria.security.certname_whitelist" type:"regexps" default:"\\.mcollective$,\\.choria$" scope:"S" doc:"Certificate names that may make requests"`
	LegacyCertificates bool     `key:"plugin.security.support_legacy_certificates" default:"false" scope:"SC" doc:"Accept brokers whose certificate has a name in its subject only"`
	CipherSuites       []string `key:"plugin.security.cipher_suites" derived:"those of Go" scope:"SBC" doc:"TLS 1.2 cipher suites that may be used"`
	ECCCurves          []string `key:"plugin.security.ecc_curves" derived:"X25519, CurveP256, CurveP384, CurveP521" scope:"SBC" doc:"TLS key exchange curves that may be used"`

	NoTLS bool `key:"plugin.choria.lab.no_tls" default:"false" scope:"SBC" doc:"Connect or listen without TLS and without any proof of who is who, to measure what TLS costs; every start warns"`

	_ struct{} `key:"plugin.security.client_anon_tls" type:"bool" default:"false" scope:"C" doc:"Connect without a client certificate; needs a remote signer"`
	_ struct{} `key:"plugin.security.server_anon_tls" type:"bool" default:"false" scope:"S" doc:"Connect a protocol v1 server with a token in place of a certificate"`
	_ struct{} `key:"plugin.choria.security.server.token_file" type:"path" derived:"server.jwt beside the configuration" scope:"S" doc:"Token of this server, with server_anon_tls"`
	_ struct{} `key:"plugin.choria.security.server.seed_file" type:"path" derived:"server.seed beside the configuration" scope:"S" doc:"Seed of that token"`
	_ struct{} `key:"plugin.choria.security.request_signer.url" scope:"C" doc:"Remote signer that is called by HTTP"`
	_ struct{} `key:"plugin.choria.security.request_signer.service" type:"bool" default:"false" scope:"C" doc:"Call the remote signer by RPC"`
	_ struct{} `key:"plugin.choria.security.request_signer.token_file" type:"path" scope:"C" doc:"Token for the remote signer"`
	_ struct{} `key:"plugin.choria.security.request_signer.seed_file" type:"path" scope:"C" doc:"Seed of that token"`
	_ struct{} `key:"plugin.login.aaasvc.login.url" type:"list" scope:"C" doc:"Login services"`
	_ struct{} `key:"plugin.security.choria.token_file" type:"path" scope:"SBC" doc:"Token for the security provider choria"`
	_ struct{} `key:"plugin.security.choria.seed_file" type:"path" derived:"the token file with the extension .key" scope:"SBC" doc:"Seed of that token"`
	_ struct{} `key:"plugin.security.choria.certificate" type:"path" scope:"SBC" doc:"TLS certificate for the security provider choria"`
	_ struct{} `key:"plugin.security.choria.key" type:"path" scope:"SBC" doc:"TLS key for the security provider choria"`
	_ struct{} `key:"plugin.security.choria.ca" type:"path" scope:"SBC" doc:"TLS authorities for the security provider choria"`
	_ struct{} `key:"plugin.security.choria.trusted_signers" type:"list" scope:"SB" doc:"Public keys, in hex, of trusted token signers"`
	_ struct{} `key:"plugin.security.choria.sign_replies" type:"bool" default:"true" scope:"S" doc:"Sign replies"`
	_ struct{} `key:"plugin.security.issuer.names" type:"list" scope:"SBC" doc:"Organizations whose tokens are trusted"`
	_ struct{} `key:"plugin.security.issuer.*.public" scope:"SBC" doc:"Public key, in hex, of that organization"`
	_ struct{} `key:"plugin.security.pkcs11.driver_file" type:"path" scope:"C" doc:"PKCS#11 driver"`
	_ struct{} `key:"plugin.security.pkcs11.slot" type:"int" scope:"C" doc:"PKCS#11 slot"`
	_ struct{} `key:"plugin.security.certmanager.namespace" default:"choria" scope:"SBC" doc:"Kubernetes namespace of the issuer"`
	_ struct{} `key:"plugin.security.certmanager.issuer" scope:"SBC" doc:"Name of the issuer"`
	_ struct{} `key:"plugin.security.certmanager.replace" type:"bool" default:"true" scope:"SBC" doc:"Replace an existing certificate request"`
	_ struct{} `key:"plugin.security.certmanager.alt_names" type:"list" scope:"SBC" doc:"Further names of the certificate"`
	_ struct{} `key:"plugin.security.certmanager.api_version" default:"v1" scope:"SBC" doc:"Version of the API"`

	_ struct{} `section:"Puppet services"`

	PuppetServerHost string `key:"plugin.choria.puppetserver_host" default:"puppet" scope:"SC" doc:"Puppet Server that tasks are from"`
	PuppetServerPort int    `key:"plugin.choria.puppetserver_port" type:"port" default:"8140" scope:"SC" doc:"Its port"`
	PuppetCAHost     string `key:"plugin.choria.puppetca_host" default:"puppet" scope:"SC" doc:"Puppet certificate authority; when set, SRV records are not asked"`
	PuppetCAPort     int    `key:"plugin.choria.puppetca_port" type:"port" default:"8140" scope:"SC" doc:"Its port; when set, SRV records are not asked"`
	PuppetDBHost     string `key:"plugin.choria.puppetdb_host" derived:"SRV records, then puppet" scope:"C" doc:"PuppetDB"`
	PuppetDBPort     int    `key:"plugin.choria.puppetdb_port" type:"port" default:"8081" scope:"C" doc:"Its port"`

	_ struct{} `section:"Clients"`

	DiscoveryMethod          string        `key:"default_discovery_method" enum:"mc broadcast puppetdb choria external inventory" default:"mc" scope:"C" doc:"Where the nodes that a request goes to are found"`
	DiscoveryOptions         []string      `key:"default_discovery_options" type:"repeat" scope:"C" doc:"Options of the discovery method as key=value; a line adds one"`
	DiscoveryTimeout         time.Duration `key:"discovery_timeout" default:"2" scope:"C" doc:"How long replies to a discovery are waited for"`
	WindowedTimeout          bool          `key:"plugin.choria.discovery.broadcast.windowed_timeout" default:"true" scope:"C" doc:"End a discovery when replies have dried up, 300 ms after the last one; false waits the whole discovery timeout"`
	ExternalDiscoveryCommand string        `key:"plugin.choria.discovery.external.command" scope:"C" doc:"Program, with arguments, of the discovery method external"`
	InventorySource          string        `key:"plugin.choria.discovery.inventory.source" type:"path" scope:"C" doc:"File of the discovery method inventory"`
	LimitMethod              string        `key:"rpclimitmethod" enum:"first random" default:"first" scope:"C" doc:"Which nodes are taken when a request is limited to some"`
	RequireClientFilter      bool          `key:"plugin.choria.require_client_filter" default:"false" scope:"C" doc:"Refuse requests that have no filter"`
	RegistryCache            string        `key:"plugin.choria.services.registry.cache" type:"path" env:"CHORIA_REGISTRY" scope:"C" doc:"Directory for agent descriptions that were fetched from the network"`

	_ struct{} `section:"Servers: authorization and audit"`

	Authorize                      bool        `key:"rpcauthorization" default:"true" scope:"S" doc:"Ask an authorization provider before an action runs"`
	AuthorizationProvider          string      `key:"rpcauthprovider" enum:"action_policy rego_policy aaasvc aaasvc_policy" default:"action_policy" scope:"S" doc:"The provider that is asked; with any but action_policy a server denies everything, since Rego policies and tokens of the AAA service are not evaluated"`
	ActionPolicyAllowsUnconfigured bool        `key:"plugin.actionpolicy.allow_unconfigured" default:"false" scope:"S" doc:"Allow actions of agents without a policy file"`
	ActionPolicyDefault            bool        `key:"plugin.actionpolicy.enable_default" default:"false" scope:"S" doc:"Use a default policy for agents without a policy file"`
	ActionPolicyDefaultName        string      `key:"plugin.actionpolicy.default_name" default:"default" scope:"S" doc:"Name of the default policy"`
	RegoTracing                    bool        `key:"plugin.regopolicy.tracing" default:"false" scope:"S" doc:"Accepted, and of no effect"`
	Audit                          bool        `key:"rpcaudit" default:"false" scope:"S" doc:"Record every request that is run"`
	AuditLogFile                   string      `key:"plugin.rpcaudit.logfile" type:"path" scope:"S" doc:"Audit file, one JSON object a line"`
	AuditLogGroup                  string      `key:"plugin.rpcaudit.logfile.group" scope:"S" doc:"Group that owns the audit file"`
	AuditLogMode                   fs.FileMode `key:"plugin.rpcaudit.logfile.mode" default:"0600" scope:"S" doc:"Mode of the audit file"`

	_ struct{} `section:"Servers: agents"`

	RubyShim       string   `key:"plugin.choria.agent_provider.mcorpc.agent_shim" type:"path" scope:"S" doc:"Program that runs Ruby agents in place of the built-in one, starting anew for each request"`
	RubyShimConfig string   `key:"plugin.choria.agent_provider.mcorpc.config" type:"path" scope:"S" doc:"Configuration file given to that program"`
	RubyLibDirs    []string `key:"plugin.choria.agent_provider.mcorpc.libdir" type:"paths" scope:"S" doc:"Directories that hold Ruby and external agents"`

	NativeAgents []string `key:"plugin.choria.agent_provider.native" scope:"S" doc:"Built-in agents that answer although an agent of the same name is installed"`

	RubyCommand   string        `key:"plugin.choria.ruby.command" type:"path" derived:"/opt/puppetlabs/puppet/bin/ruby, then ruby in PATH" scope:"SC" doc:"Ruby, 2.5 or later, for Ruby agents and descriptions written in Ruby"`
	RubyDirectory string        `key:"plugin.choria.ruby.directory" type:"path" derived:"ruby below $STATE_DIRECTORY, /var/lib/choria/ruby as root, choria/ruby in the user's cache directory otherwise" scope:"SC" doc:"Private directory for the Ruby library and descriptions made of Ruby ones"`
	RubyMode      string        `key:"plugin.choria.ruby.mode" enum:"warm oneshot" default:"warm" scope:"S" doc:"Whether Ruby agents stay loaded for the next request, or each request starts Ruby"`
	RubyIdle      time.Duration `key:"plugin.choria.ruby.idle" default:"5m" min:"1s" scope:"S" doc:"How long a Ruby agent without requests stays loaded"`
	RubyParents   int           `key:"plugin.choria.ruby.parents" default:"4" min:"1" max:"64" scope:"S" doc:"How many Ruby agents may be loaded at once"`
	RubyForks     int           `key:"plugin.choria.ruby.forks" default:"8" min:"1" max:"256" scope:"S" doc:"How many requests of one Ruby agent run at once; others wait"`
	RubyMemory    int           `key:"plugin.choria.ruby.memory" default:"300" min:"30" scope:"S" doc:"MiB of memory above which a loaded Ruby agent is loaded anew"`

	_ struct{} `key:"plugin.choria.tasks.directory" type:"path" derived:"/opt/puppetlabs/mcollective as root, ~/.puppetlabs/mcollective otherwise" scope:"S" doc:"Directory of the files of Bolt tasks and of what their runs leave"`
	_ struct{} `key:"plugin.choria.tasks.wrapper_path" type:"path" derived:"task_wrapper or execution_wrapper of Puppet" scope:"S" doc:"Program that runs Bolt tasks for Ruby agents; the built-in agent needs none"`
	_ struct{} `key:"plugin.choria.tasks.own_status_only" type:"bool" default:"true" scope:"S" doc:"Show the status of a Bolt task to its caller alone"`
	_ struct{} `key:"plugin.*.activate_agent" type:"bool" default:"true" scope:"S" doc:"Whether the agent of that name is started"`
	_ struct{} `key:"plugin.*.agent_shim" type:"path" scope:"S" doc:"Program that runs the Ruby agent of that name, in place of plugin.choria.agent_provider.mcorpc.agent_shim"`
	_ struct{} `key:"plugin.*.ruby_mode" enum:"warm oneshot" derived:"plugin.choria.ruby.mode" scope:"S" doc:"How the Ruby agent of that name is run"`
	_ struct{} `key:"plugin.choria.services.registry.store" type:"path" scope:"S" doc:"Directory of agent descriptions that the registry service gives out"`
	_ struct{} `key:"plugin.choria.executor.enabled" type:"bool" default:"false" scope:"S" doc:"Start the executor agent"`
	_ struct{} `key:"plugin.choria.executor.spool" type:"path" scope:"S" doc:"Directory of the executor's jobs"`
	_ struct{} `key:"plugin.scout.overrides" type:"path" scope:"S" doc:"Overrides of scout checks"`
	_ struct{} `key:"plugin.scout.tags" type:"path" scope:"S" doc:"Tags of scout checks"`
	_ struct{} `key:"plugin.scout.agent_disabled" type:"bool" default:"false" scope:"S" doc:"Do not start the scout agent"`
	_ struct{} `key:"plugin.scout.goss.denied_local_resources" type:"list" scope:"S" doc:"Goss resources that local checks may not use"`
	_ struct{} `key:"plugin.scout.goss.denied_remote_resources" type:"list" scope:"S" doc:"Goss resources that remote checks may not use"`

	_ struct{} `section:"Servers: what they say about themselves"`

	Registration           []string      `key:"registration" type:"list" enum:"file_content inventory_content" scope:"S" doc:"What is published about this node"`
	RegistrationCollective string        `key:"registration_collective" type:"collective" derived:"main_collective" scope:"S" doc:"Collective it is published in"`
	RegisterInterval       time.Duration `key:"registerinterval" default:"300" scope:"S" doc:"Time between publications"`
	RegistrationSplay      bool          `key:"registration_splay" default:"true" scope:"S" doc:"Delay the first publication by a random share of the interval"`
	RegistrationFile       string        `key:"plugin.choria.registration.file_content.data" type:"path" scope:"S" doc:"File that file_content publishes"`
	RegistrationFileTarget string        `key:"plugin.choria.registration.file_content.target" derived:"the agent registration" scope:"S" doc:"Subject it is published on"`
	RegistrationFileGzip   bool          `key:"plugin.choria.registration.file_content.compression" default:"true" scope:"S" doc:"Compress it"`
	InventoryTarget        string        `key:"plugin.choria.registration.inventory_content.target" derived:"the agent registration" scope:"S" doc:"Subject that inventory_content is published on"`
	InventoryGzip          bool          `key:"plugin.choria.registration.inventory_content.compression" default:"true" scope:"S" doc:"Compress it"`
	RegistrationTrigger    int           `key:"plugin.choria.registration.size_trigger" default:"0" min:"0" scope:"S" doc:"Publish at once when the size changed by this many bytes; 0 never"`
	RegistrationPoll       time.Duration `key:"plugin.choria.registration.size_interval" default:"30" min:"1s" scope:"S" doc:"How often the size is looked at"`
	StatusFile             string        `key:"plugin.choria.status_file_path" type:"path" scope:"S" doc:"File that the state of the server is written to; empty for none"`
	StatusInterval         time.Duration `key:"plugin.choria.status_update_interval" default:"30" scope:"S" doc:"How often it is written; 0 never"`
	LegacyLifecycle        bool          `key:"plugin.choria.legacy_lifecycle_format" default:"false" scope:"S" doc:"Publish lifecycle events without the CloudEvents envelope"`

	_ struct{} `key:"plugin.choria.prometheus_textfile_directory" type:"path" scope:"S" doc:"Directory for metrics of autonomous agents"`
	_ struct{} `key:"plugin.choria.submission.spool" type:"path" scope:"SC" doc:"Directory of messages that wait to be published"`
	_ struct{} `key:"plugin.choria.submission.max_spool_size" type:"int" default:"500" scope:"S" doc:"How many may wait"`
	_ struct{} `key:"plugin.choria.machine.store" type:"path" scope:"S" doc:"Directory of autonomous agents"`
	_ struct{} `key:"plugin.choria.machine.signing_key" scope:"S" doc:"Public key, in hex, that autonomous agents are signed with"`
	_ struct{} `key:"plugin.choria.machine.http_port" type:"port" default:"0" scope:"S" doc:"Local port that autonomous agents listen on"`
	_ struct{} `key:"plugin.machines.download" type:"bool" scope:"S" doc:"Fetch autonomous agents from a key-value bucket"`
	_ struct{} `key:"plugin.machines.bucket" scope:"S" doc:"That bucket"`
	_ struct{} `key:"plugin.machines.key" scope:"S" doc:"Key in that bucket"`
	_ struct{} `key:"plugin.machines.purge" type:"bool" scope:"S" doc:"Remove autonomous agents that the bucket does not list"`
	_ struct{} `key:"plugin.machines.poll_interval" type:"duration" scope:"S" doc:"How often the bucket is read"`
	_ struct{} `key:"plugin.machines.check_interval" type:"duration" scope:"S" doc:"How often what is on disk is checked"`
	_ struct{} `key:"plugin.machines.signing_key" scope:"S" doc:"Public key, in hex, that the list in the bucket is signed with"`
	_ struct{} `key:"plugin.choria.server.provision" type:"bool" derived:"a setting of the build" scope:"S" doc:"Start in provisioning mode"`
	_ struct{} `key:"plugin.choria.server.provision.allow_update" type:"bool" scope:"S" doc:"Let a provisioner replace the program"`

	_ struct{} `section:"Brokers"`

	BrokerNetwork    bool     `key:"plugin.choria.broker_network" default:"false" scope:"B" doc:"Run the network broker, which servers and clients connect to"`
	BrokerFederation bool     `key:"plugin.choria.broker_federation" default:"false" scope:"B" doc:"Run the federation broker, which carries requests between sites"`
	Adapters         []string `key:"plugin.choria.adapters" scope:"B" doc:"Data adapters to run, by name"`
	StatsAddress     string   `key:"plugin.choria.stats_address" default:"127.0.0.1" scope:"SB" doc:"Address that statistics are served on"`
	StatsPort        int      `key:"plugin.choria.stats_port" type:"port" default:"0" scope:"SB" doc:"Port that statistics are served on; 0 for none"`

	_ struct{} `key:"plugin.choria.adapter.*.type" enum:"choria_streams jetstream kafka elasticsearch opensearch nats_stream" scope:"B" doc:"What the adapter publishes to; jetstream is another name of choria_streams, opensearch of elasticsearch"`
	_ struct{} `key:"plugin.choria.adapter.*.queue_len" type:"int" default:"1000" min:"1" max:"1000000" scope:"B" doc:"How many messages may wait between the two sides"`
	_ struct{} `key:"plugin.choria.adapter.*.ingest.topic" scope:"B" doc:"Subject that messages are received on"`
	_ struct{} `key:"plugin.choria.adapter.*.ingest.protocol" default:"reply" scope:"B" doc:"request or reply: what is received"`
	_ struct{} `key:"plugin.choria.adapter.*.ingest.workers" type:"int" default:"10" min:"1" max:"256" scope:"B" doc:"Connections that receive"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.topic" derived:"the name of the adapter" scope:"B" doc:"Subject, topic or index that is published to; %s stands for the sender"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.servers" type:"hosts" derived:"as for every connection" scope:"B" doc:"Brokers that are published to; of Kafka and NATS Streaming too"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.workers" type:"int" default:"10" min:"1" max:"256" scope:"B" doc:"Connections that publish"`
	_ struct{} `key:"plugin.choria.adapter.*.ingest.verify" type:"bool" default:"true" scope:"B" doc:"Publish only requests whose signature is good"`
	_ struct{} `key:"plugin.choria.adapter.*.dead_letters" derived:"choria.adapter.NAME.dead_letters" scope:"B" doc:"Subject that what is not published goes to, with the reason"`
	_ struct{} `key:"plugin.choria.adapter.*.spill.directory" derived:"adapters/NAME in the store of the streams, otherwise in $STATE_DIRECTORY or, as root, /var/lib/choria" scope:"B" doc:"Directory that messages wait in while they cannot be published"`
	_ struct{} `key:"plugin.choria.adapter.*.spill.max_size" type:"int" default:"268435456" min:"1048576" scope:"B" doc:"How many bytes may wait there"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.clusterid" scope:"B" doc:"Cluster of an adapter of type nats_stream"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.urls" type:"list" scope:"B" doc:"Servers of Elasticsearch or OpenSearch, as https://host:port"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.tls" type:"bool" default:"false" scope:"B" doc:"Speak TLS to Kafka or NATS Streaming"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.tls.ca" type:"path" derived:"those of the system" scope:"B" doc:"Authorities that certificates of what is published to have to be from"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.tls.certificate" type:"path" scope:"B" doc:"Certificate to show to what is published to, if it wants one"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.tls.key" type:"path" scope:"B" doc:"Its key"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.sasl" enum:"plain scram-sha-256 scram-sha-512" scope:"B" doc:"How to log in to Kafka"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.user" scope:"B" doc:"User to log in as: to Kafka, Elasticsearch, OpenSearch, NATS Streaming"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.password_file" type:"path" scope:"B" doc:"File with the password of that user in its first line"`
	_ struct{} `key:"plugin.choria.adapter.*.stream.api_key_file" type:"path" scope:"B" doc:"File with an API key for Elasticsearch or OpenSearch in its first line"`

	_ struct{} `section:"Brokers: the network broker"`

	ListenAddress         string        `key:"plugin.choria.network.listen_address" default:"::" scope:"B" doc:"Address that clients connect to"`
	ClientPort            int           `key:"plugin.choria.network.client_port" type:"port" min:"-1" default:"4222" scope:"B" doc:"Port that clients connect to; -1 for any that is free"`
	PeerPort              int           `key:"plugin.choria.network.peer_port" type:"port" min:"-1" derived:"5222 when there are peers" scope:"B" doc:"Port that the other brokers of the cluster connect to"`
	Peers                 []string      `key:"plugin.choria.network.peers" type:"hosts" derived:"SRV records" scope:"B" doc:"The other brokers of the cluster, with their peer ports"`
	PeerUser              string        `key:"plugin.choria.network.peer_user" scope:"B" doc:"User name between the brokers of the cluster"`
	PeerPassword          string        `key:"plugin.choria.network.peer_password" scope:"B" doc:"Password of that user"`
	PeerTLS               bool          `key:"plugin.choria.network.peer_tls" default:"true" scope:"B" doc:"Mutually verified TLS between the brokers of the cluster; off to join brokers of other Choria releases, which have none"`
	WriteDeadline         time.Duration `key:"plugin.choria.network.write_deadline" default:"10s" min:"1ms" scope:"B" doc:"How long a write to a client may take before it is disconnected"`
	TLSTimeout            time.Duration `key:"plugin.choria.network.tls_timeout" default:"2s" min:"1ms" cap:"60s" scope:"B" doc:"How long a TLS handshake may take"`
	AuthTimeout           time.Duration `key:"plugin.choria.network.auth_timeout" default:"2s" min:"1ms" cap:"60s" scope:"B" doc:"How long a client may take to authenticate"`
	ClientHosts           []string      `key:"plugin.choria.network.client_hosts" scope:"B" doc:"Addresses and networks that clients may connect from; all others connect as servers"`
	DenyServerConnections bool          `key:"plugin.choria.network.deny_server_connections" default:"false" scope:"B" doc:"Refuse connections from other addresses than client_hosts"`
	ForceClientTLS        bool          `key:"plugin.choria.network.client_tls_force_required" default:"false" scope:"B" doc:"Require TLS from clients where TLS is off otherwise"`
	PublicURL             string        `key:"plugin.choria.network.public_url" derived:"the identity and client_port" scope:"B" doc:"Address that clients are told to connect to"`
	SystemUser            string        `key:"plugin.choria.network.system.user" scope:"B" doc:"User of the NATS system account"`
	SystemPassword        string        `key:"plugin.choria.network.system.password" scope:"B" doc:"Password of that user"`
	ClusterName           string        `key:"plugin.choria.network.gateway_name" default:"CHORIA" scope:"B" doc:"Name of this cluster to other clusters"`
	GatewayPort           int           `key:"plugin.choria.network.gateway_port" type:"port" default:"0" scope:"B" doc:"Port that brokers of other clusters connect to; 0 for none"`
	GatewayRemotes        []string      `key:"plugin.choria.network.gateway_remotes" scope:"B" doc:"Other clusters to connect to, by name"`
	LeafnodePort          int           `key:"plugin.choria.network.leafnode_port" type:"port" default:"0" scope:"B" doc:"Port that leafnodes connect to; 0 for none"`
	LeafnodeRemotes       []string      `key:"plugin.choria.network.leafnode_remotes" scope:"B" doc:"Brokers to connect to as a leafnode, by name"`
	WebsocketPort         int           `key:"plugin.choria.network.websocket_port" type:"port" default:"0" scope:"B" doc:"Port that clients connect to over websockets; 0 for none"`
	WebsocketAdvertise    string        `key:"plugin.choria.network.websocket_advertise" scope:"B" doc:"Address that clients are told to connect to over websockets"`
	MappingNames          []string      `key:"plugin.choria.network.mapping.names" scope:"B" doc:"Subject mappings, by name"`
	PprofPort             int           `key:"plugin.choria.network.pprof_port" type:"port" default:"0" scope:"B" doc:"Local port of the Go profiler; 0 for none"`

	BrokerShutdownTimeout time.Duration `key:"plugin.choria.network.soft_shutdown_timeout" default:"60" scope:"B" doc:"How long clients may take to move to other brokers when this one stops"`

	_ struct{} `key:"plugin.choria.network.gateway_remote.*.urls" type:"list" scope:"B" doc:"Addresses of that cluster"`
	_ struct{} `key:"plugin.choria.network.gateway_remote.*.tls.cert" type:"path" scope:"B" doc:"Certificate for it"`
	_ struct{} `key:"plugin.choria.network.gateway_remote.*.tls.key" type:"path" scope:"B" doc:"Key for it"`
	_ struct{} `key:"plugin.choria.network.gateway_remote.*.tls.ca" type:"path" scope:"B" doc:"Authorities for it"`
	_ struct{} `key:"plugin.choria.network.gateway_remote.*.tls.verify" type:"bool" default:"true" scope:"B" doc:"Verify its certificate"`
	_ struct{} `key:"plugin.choria.network.gateway_remote.*.tls.disable" type:"bool" default:"false" scope:"B" doc:"Connect without TLS"`
	_ struct{} `key:"plugin.choria.network.leafnode_remote.*.url" scope:"B" doc:"Address of that broker"`
	_ struct{} `key:"plugin.choria.network.leafnode_remote.*.account" default:"choria" scope:"B" doc:"Local account that is connected"`
	_ struct{} `key:"plugin.choria.network.leafnode_remote.*.credentials" type:"path" scope:"B" doc:"NATS credentials file for it"`
	_ struct{} `key:"plugin.choria.network.leafnode_remote.*.tls.cert" type:"path" scope:"B" doc:"Certificate for it"`
	_ struct{} `key:"plugin.choria.network.leafnode_remote.*.tls.key" type:"path" scope:"B" doc:"Key for it"`
	_ struct{} `key:"plugin.choria.network.leafnode_remote.*.tls.ca" type:"path" scope:"B" doc:"Authorities for it"`
	_ struct{} `key:"plugin.choria.network.leafnode_remote.*.tls.verify" type:"bool" default:"true" scope:"B" doc:"Verify its certificate"`
	_ struct{} `key:"plugin.choria.network.leafnode_remote.*.tls.disable" type:"bool" default:"false" scope:"B" doc:"Connect without TLS"`
	_ struct{} `key:"plugin.choria.network.mapping.*.source" scope:"B" doc:"Subject that is mapped"`
	_ struct{} `key:"plugin.choria.network.mapping.*.destination" scope:"B" doc:"Subject it becomes"`
	_ struct{} `key:"plugin.choria.network.client_signer_cert" type:"list" scope:"B" doc:"Certificates or public keys, in hex, that sign the tokens of clients"`
	_ struct{} `key:"plugin.choria.network.server_signer_cert" type:"list" scope:"B" doc:"Certificates or public keys, in hex, that sign the tokens of servers"`
	_ struct{} `key:"plugin.choria.network.provisioning.client_password" scope:"B" doc:"Password of the provisioner"`
	_ struct{} `key:"plugin.choria.network.provisioning.signer_cert" type:"path" scope:"B" doc:"Certificate that signs provisioning tokens"`
	_ struct{} `key:"plugin.choria.network.provisioning.provisioner_without_token" type:"bool" scope:"B" doc:"Let the provisioner connect without a token"`

	_ struct{} `section:"Brokers: streams"`

	StreamStore            string        `key:"plugin.choria.network.stream.store" type:"path" scope:"B" doc:"Directory of streams; enables them"`
	ManageStreams          bool          `key:"plugin.choria.network.stream.manage_streams" default:"true" scope:"B" doc:"Make the streams below"`
	EventRetention         time.Duration `key:"plugin.choria.network.stream.event_retention" default:"24h" scope:"B" doc:"How long lifecycle events are kept; 0 for no such stream"`
	MachineRetention       time.Duration `key:"plugin.choria.network.stream.machine_retention" default:"24h" scope:"B" doc:"How long events of autonomous agents are kept; 0 for no such stream"`
	ExecutorRetention      time.Duration `key:"plugin.choria.network.stream.executor_retention" default:"24h" scope:"B" doc:"How long events of executors are kept; 0 for no such stream"`
	AdvisoryRetention      time.Duration `key:"plugin.choria.network.stream.advisory_retention" default:"168h" scope:"B" doc:"How long advisories about streams are kept; 0 for no such stream"`
	EventReplicas          int           `key:"plugin.choria.network.stream.event_replicas" default:"-1" min:"-1" scope:"B" doc:"Copies of lifecycle events; -1 for one on each broker of the cluster"`
	MachineReplicas        int           `key:"plugin.choria.network.stream.machine_replicas" default:"-1" min:"-1" scope:"B" doc:"Copies of events of autonomous agents"`
	ExecutorReplicas       int           `key:"plugin.choria.network.stream.executor_replicas" default:"-1" min:"-1" scope:"B" doc:"Copies of events of executors"`
	AdvisoryReplicas       int           `key:"plugin.choria.network.stream.advisory_replicas" default:"-1" min:"-1" scope:"B" doc:"Copies of advisories"`
	LeaderElectionReplicas int           `key:"plugin.choria.network.stream.leader_election_replicas" default:"-1" min:"-1" scope:"B" doc:"Copies of the leader election bucket"`
	LeaderElectionTTL      time.Duration `key:"plugin.choria.network.stream.leader_election_ttl" default:"1m" min:"1s" scope:"B" doc:"How long a leader holds its office without renewing it"`

	file     string           // the main file
	values   map[string]value // what was set, by key
	warnings []string
	unwarned int // warnings beyond maxWarnings
}

// A value is the text of one key as it was written, and where.
type value struct {
	text string
	src  Source
}

// tolerated are keys of old files that mean nothing any more; they are not worth a warning.
// Source: protocol section 18.4, rpc section 0.
var tolerated = [...]string{
	"activate_agents", "connection_timeout", "connector", "daemonize", "default_batch_size",
	"default_batch_sleep_time", "direct_addressing", "direct_addressing_threshold", "fact_cache_time",
	"factsource", "keeplogs", "logfacility", "logger_type", "max_log_size",
	"plugin.choria.broker_discovery", "plugin.choria.discovery_host", "plugin.choria.discovery_port",
	"plugin.choria.discovery_proxy", "plugin.choria.federation.instance",
	"plugin.choria.network.client_anon_tls", "plugin.choria.network.monitor_port",
	"plugin.choria.network.operator_account", "plugin.choria.network.system_account",
	"plugin.choria.randomize_middleware_hosts", "plugin.choria.security.request_signer.plugin",
	"plugin.choria.security.request_signer.token_environment",
	"plugin.choria.security.request_signing_certificate", "plugin.choria.security.serializer",
	"plugin.choria.services.registry.client", "plugin.choria.services.registry.enable",
	"plugin.choria.tasks_cache", "plugin.nats.ngs", "plugin.security.always_overwrite_cache",
	"plugin.security.file.cache", "publish_timeout", "rpcauditprovider", "securityprovider",
	"soft_shutdown", "ssl_cipher", "threaded",
}
