"""Channels and streams over one link (floor 5)."""
