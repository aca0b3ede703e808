"""Pictures of computation graphs: a layered layout, and boxes and arrows on it."""
