"""The application: command line, screens' host, and everything that talks to the engine process. Never imports torch."""

__version__ = "0.1.0"
