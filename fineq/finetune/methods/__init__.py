"""Ways to fine-tune by low-rank adapters, methods of `fineq.solve`, and ways without training."""
