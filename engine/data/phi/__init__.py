"""Identifying text (protected health information): what it looks like, how it is found, counted and replaced."""
