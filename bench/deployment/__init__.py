"""A student taken away: which cell is meant, and a bundle that encodes and searches without torch."""
