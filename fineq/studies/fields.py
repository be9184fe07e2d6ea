"""What the library says of its parameters, said of the fields that they were read from."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fineq.errors import FineqError


@contextmanager
def about_fields(fields: Mapping[str, str]) -> Iterator[None]:
    """Within it, refusals that name a parameter name its field instead.

    Args:
        fields: the field of each parameter, as whole words of the sentence.

    Raises:
        FineqError: of the same kind, for one raised within.
    """
    try:
        yield
    except FineqError as error:
        names = "|".join(map(re.escape, fields))
        sentence = re.sub(rf"(?<![\w.])({names})(?!\w)", lambda m: fields[m[1]], str(error))
        raise type(error)(sentence) from error
