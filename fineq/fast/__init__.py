"""What tunes for a machine: lanes, sine, random draws; each equal to a plain form by test."""
