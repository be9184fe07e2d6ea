"""Parametric PI-FT: simulated value gradients, linear features and networks."""
