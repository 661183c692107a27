"""Bells, which say where to look, and the events that Linkgate publishes on its own bus."""
