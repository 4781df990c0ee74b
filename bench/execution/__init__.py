"""From a plan to records: what is made when, by which pool, and what becomes of each cell."""

from bench import environment

environment.claim_packages()
