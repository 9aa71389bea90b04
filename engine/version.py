"""The version of both processes."""

__version__ = "0.1.0"
