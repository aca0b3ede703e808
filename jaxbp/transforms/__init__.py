"""The public functions: arguments checked, products, gradients, Jacobians."""
