"""Who makes stages: this process, or several."""
