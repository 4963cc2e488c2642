plan demo::other_name () {
}
