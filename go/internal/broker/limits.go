package broker

import "golang.org/x/sys/unix"

// spareFiles is how many files a broker needs besides those of its clients: connections to other
// brokers, logs, certificates, the statistics port.
const spareFiles = 200

// warnOpenFiles warns when connections will be refused for lack of file descriptors before the
// limit of connections is reached. Go has raised the soft limit to the hard one by now.
func (b *Broker) warnOpenFiles() {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	need := uint64(b.o.MaxConnections + spareFiles)
	if limit.Cur >= need {
		return
	}
	b.log.Warn("the limit of open files is too low for all connections",
		"limit", limit.Cur, "needed", need, "max_connections", b.o.MaxConnections,
		"cure", "systemctl edit choria-broker, and under [Service] LimitNOFILE=65536; or run \"ulimit -n 65536\" before it is started")
}
