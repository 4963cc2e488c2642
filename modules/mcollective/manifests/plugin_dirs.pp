# @summary The old name of the directories of plugins, for what requires this class
class mcollective::plugin_dirs {
  include mcollective
  require choria::config
}
