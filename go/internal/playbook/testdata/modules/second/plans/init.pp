plan second () {
}
