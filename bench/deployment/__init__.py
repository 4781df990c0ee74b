"""A student taken away: a folder that encodes and searches where torch is not installed."""
