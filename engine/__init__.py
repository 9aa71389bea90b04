"""The engine: data, model, federation. It runs in a process of its own and never draws anything.

`python -P -m engine` reads commands and writes events, one JSON object a line (see `engine.protocol`).
"""
