"""Candidates, checks, nomination, consent (floor 2)."""
