"""What is measured: a file each, named as in the grid; accuracy of codes, cost of networks, cost of search."""
