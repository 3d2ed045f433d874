"""The SCTP association (floor 4)."""
