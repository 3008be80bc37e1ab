"""The pages that people write: the README and ``docs/``, without what ``make docs`` puts beside them."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
_MADE = {"generated", "_build"}


def written_pages() -> list[Path]:
    """Return the written pages of ``docs/``, in the order of their paths."""
    return sorted(path for path in DOCS.rglob("*.md") if not _MADE & set(path.relative_to(DOCS).parts))
