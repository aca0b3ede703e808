"""Loops: scan and while, what of a body moves, what it keeps, what is done before."""
