# @summary A path below `<libdir>/mcollective`, such as `agent/puppet.rb`
#
# It is relative and has no `..`, so that a plugin only writes where plugins are.
type Choria::PluginPath = Pattern[/\A(?!\.\.(?:\/|\z))[\w.+-]+(?:\/(?!\.\.(?:\/|\z))[\w.+-]+)*\z/]
