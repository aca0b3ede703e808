"""Does `jaxbp.check` itself err? Right gradients by the thousand, and planted errors."""
