"""STUN messages and transactions (floor 1)."""
