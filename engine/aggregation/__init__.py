"""How updates become one adapter: how much each counts, and how they are combined."""
