# @summary The address of a broker: `host:port`, or a URL whose port may be left out
#
# An IPv6 address stands in brackets.
type Choria::BrokerUrl = Pattern[
  /\A(?:[a-zA-Z0-9][a-zA-Z0-9.-]*|\[[0-9a-fA-F:.]+\]):\d{1,5}\z/,
  /\A(?:nats|tls|wss?):\/\/(?:[a-zA-Z0-9][a-zA-Z0-9.-]*|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?\z/,
]
