"""From grid.yaml to a plan of cells and stages. Nothing here imports torch."""
