"""Denoising diffusion models with exact laws: schedules, data laws, forward and reverse chains."""
