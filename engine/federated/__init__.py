"""Rounds: hospitals train from the global adapter, return updates, the coordinator combines and evaluates them."""
