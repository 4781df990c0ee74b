"""Hashing losses of step 2: a file each, named as in the grid."""
