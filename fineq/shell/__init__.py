"""The shell: composes configurations, runs studies, speaks with the user; it alone knows all."""
