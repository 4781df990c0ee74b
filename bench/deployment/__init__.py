"""A student taken away: which cell is meant, and a bundle of its network that encodes and searches."""
