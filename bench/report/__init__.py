"""From records to tables, charts and web pages. Reads results and nothing else."""
