"""Fine-tuning a diffusion model as stochastic control (arXiv 2412.18164)."""
