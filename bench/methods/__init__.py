"""Distillation methods of step 1: a file each, named as in the grid."""
