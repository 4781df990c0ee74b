"""A results folder: its records, what they are called, and the rows they make over seeds."""
