"""hash-pareto: how much retrieval accuracy does each unit of compute buy, and is the difference real?"""

__version__ = "0.1.0"
