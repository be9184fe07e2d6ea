"""How Sphinx builds these pages; `make docs` calls it with warnings as errors."""

import sys
from pathlib import Path

import fineq

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "fineq"
author = "The fineq developers"
copyright = "The fineq developers, Apache-2.0"
version = release = fineq.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # no page fetches anything
    "docstrings",
    "names",
]
exclude_patterns = ["extensions"]

myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
myst_links_external_new_tab = True

# Every notebook is run anew, and one that fails fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
add_module_names = False

html_theme = "furo"
html_title = "fineq"
html_show_sphinx = False
