"""What verdicts rest on, for rooms that load in no time."""

import sys

#: The confidence of an interval unless another is asked for.
LEVEL = 0.95
#: The lower end of an exact number that is infinite: all that plain data can say of it.
LARGEST = sys.float_info.max
