"""Exact fine-tuning in one and two dimensions, on a grid: optimum, PI-FT, laws, constants."""
