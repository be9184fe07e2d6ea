"""Score regression with wide networks: kernels, gradient descent, stopping, error decomposition."""
