"""Subcommands of `fineq`, one module each: `USAGE`, and `main(words) -> exit code`."""
