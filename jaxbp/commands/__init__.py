"""The commands of `jaxbp`, one module each: `run(argv)` gives the exit status.

Each module imports what it needs when it runs, so that help comes at once.
"""
