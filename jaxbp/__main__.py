"""`python -m jaxbp` is the `jaxbp` command."""

from .cli import main

main()
