"""The derivative of a loop, and what of it waits until after the reverse loop."""
