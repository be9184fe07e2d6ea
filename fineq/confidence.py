"""The confidence that intervals have and verdicts rest on, for rooms that load in no time."""

#: The confidence of an interval unless another is asked for.
LEVEL = 0.95
