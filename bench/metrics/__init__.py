"""What is measured: a file each, named as in the grid; of codes, of networks, and of searching."""
