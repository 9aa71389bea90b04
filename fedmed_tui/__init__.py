"""The application: command line, screens' host, and everything that talks to the engine process. Never imports torch."""

from engine.version import __version__ as __version__
