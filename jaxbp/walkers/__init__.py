"""Walkers: what goes along with a program that is walked: tangents, or edges."""
