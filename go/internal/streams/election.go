package streams

// Elections is the bucket in which processes elect a leader. Source: protocol section 10.4.
const Elections = "CHORIA_LEADER_ELECTION"
