"""The base model and the adapters attached to it: find, load, adapt, generate."""
