"""Figures that others published, with their sources and protocols, as files that are checked like grids."""

from bench.published.loading import load_published

__all__ = ["load_published"]
