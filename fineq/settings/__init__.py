"""What a configuration is: its fields, their bounds and words, and when they are read."""
