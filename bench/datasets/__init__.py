"""Data sets: a file each, named as in the grid; ``splits`` of images with labels or another ground truth."""
