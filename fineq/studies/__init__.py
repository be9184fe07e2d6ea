"""Studies: what an area can be asked, its configuration, and what the user brings."""
