"""harden: watches a program work, writes down the least it needs, and runs it with exactly that."""

__all__ = ["__version__"]

__version__ = "0.1.0"
