"""jaxbp: derivatives you can read, check, price, and then use."""
