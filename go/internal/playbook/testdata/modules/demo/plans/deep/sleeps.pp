plan demo::deep::sleeps () {
  notice('going to sleep')
  choria::sleep(600)
}
