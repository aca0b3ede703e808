"""The two modes; importing this package registers the rules that walk programs."""

from . import calls, custom, loops
