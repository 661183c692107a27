"""The data plane that needs no privileges: plane.py says what it shows, and what it cannot."""
