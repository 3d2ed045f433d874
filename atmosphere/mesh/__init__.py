"""Nodes, peers, membership, invites, files (floor 6)."""
