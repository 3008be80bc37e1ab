"""How Sphinx builds these pages. ``make docs`` runs it; warnings are errors, and nothing is fetched from a network."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generate import write_all  # noqa: E402

from mastlake import __version__  # noqa: E402

project = "mastlake"
author = "the authors of mastlake"
copyright = author  # noqa: A001 - Sphinx reads this name
version = release = __version__

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["generated/*.md", "_build"]
root_doc = "index"
smartquotes = False  # they make one dash of the two before an option
nitpicky = False
default_role = "py:obj"

nb_execution_mode = "off"  # the tests run the notebook, against the built-in archive
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

numpydoc_show_class_members = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the sections of a numpydoc docstring say the types

html_theme = "furo"
html_title = f"mastlake {release}"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}

write_all(HERE / "generated")
