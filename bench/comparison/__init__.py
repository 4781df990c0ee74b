"""Two results folders held against each other, and what may be claimed of the difference."""
