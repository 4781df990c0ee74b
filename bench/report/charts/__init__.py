"""Pareto charts."""
