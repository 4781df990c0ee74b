"""Tables in Markdown, LaTeX, CSV and Parquet."""
