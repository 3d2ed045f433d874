"""TURN: relayed candidates (floor 1)."""
