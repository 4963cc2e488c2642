package broker

import "golang.org/x/sys/unix"

// spareFiles is how many files a broker needs besides those of its clients: connections to other
// brokers, logs, certificates, the statistics port.
const spareFiles = 200

// warnOpenFiles warns when fewer connections can be had than are configured for lack of file descriptors,
// and makes do with those: who comes then is told that there are too many, and tries another broker at
// once. Without descriptors nobody could be told anything. Go has raised the soft limit to the hard one by
// now.
func (b *Broker) warnOpenFiles() {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	accepted := affordable(b.o.MaxConnections, limit.Cur)
	if accepted == b.o.MaxConnections {
		return
	}
	b.opts.MaxConn = accepted
	b.log.Warn("the limit of open files is too low for all connections",
		"limit", limit.Cur, "needed", b.o.MaxConnections+spareFiles, "max_connections", b.o.MaxConnections, "accepted", accepted,
		"cure", "systemctl edit choria-broker, and under [Service] LimitNOFILE=65536; or run \"ulimit -n 65536\" before it is started")
}

// affordable returns how many of most connections a limit of open files allows. Half of a very low limit
// goes to other things.
func affordable(most int, files uint64) int {
	if files >= uint64(most+spareFiles) {
		return most
	}
	return int(max(files/2, files-min(files, spareFiles)))
}
