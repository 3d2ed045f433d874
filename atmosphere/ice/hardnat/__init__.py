"""Paths through NATs that give every destination another port: the search for a pair of ports that meet."""
