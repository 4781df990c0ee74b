"""Which channels a network can lose, how they are found, and the smaller network."""
