"""Windows sliding over an array: pooling."""
