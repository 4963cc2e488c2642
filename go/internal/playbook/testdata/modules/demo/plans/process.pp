# What a plan finds in its process.
plan demo::process () {
  demo::print('printed by a module')
  return demo::environment()
}
