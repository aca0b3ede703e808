"""Does `jaxbp.check` err? Right gradients by the thousand, and planted errors."""
