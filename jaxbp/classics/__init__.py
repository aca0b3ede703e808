"""The classic systems: how one is run, its known numbers, its gallery."""
