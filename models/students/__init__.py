"""Students: a file each, named as in the grid."""
