"""Models of others, in and out (`fineq.interop.diffusers`); of their files nothing is run."""
