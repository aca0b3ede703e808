"""`python -m jaxbp` is the `jaxbp` command."""

from .commands.main import main

main()
