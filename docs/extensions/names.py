"""Code within a line that names something of fineq links to its entry in the reference."""

# Sphinx is there in the environment of `make docs` alone.
# pyright: reportMissingImports=false, reportMissingModuleSource=false

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform

from fineq import iterate

NAME = re.compile(r"fineq(\.\w+)+$")


def entry(name: str) -> str:
    """The name under which the reference has it: `fineq.solve` is `fineq.iterate.solve`."""
    room, _, rest = name.partition(".")
    return f"{room}.iterate.{rest}" if rest in iterate.__all__ else name


class Names(SphinxTransform):
    """Make references of names; one without an entry stays as it is."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        """Replace every literal that is a name."""
        for literal in list(self.document.findall(nodes.literal)):
            inside = isinstance(literal.parent, nodes.reference | pending_xref)
            if NAME.match(literal.astext()) and not inside:
                link = pending_xref(
                    "",
                    refdomain="py",
                    reftype="obj",
                    reftarget=entry(literal.astext()),
                    refwarn=False,
                )
                literal.replace_self(link)
                link += literal


def setup(app: Any) -> dict[str, bool]:
    """Add the transform."""
    app.add_transform(Names)
    return {"parallel_read_safe": True}
