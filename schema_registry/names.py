"""Which names a table and a column may have, and how a plural is made singular."""

import re
import unicodedata

TABLE_NAME = re.compile(r"[^\W\d]\w{0,62}")
RESERVED = ("initialize", "query", "jobs")
OWN_PREFIX = "_duckspawn"
MAX_COLUMN_NAME = 200

_IRREGULAR = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "feet": "foot",
    "teeth": "tooth",
    "mice": "mouse",
    "geese": "goose",
    "criteria": "criterion",
    "phenomena": "phenomenon",
    "data": "datum",
    "media": "medium",
    "indices": "index",
    "vertices": "vertex",
    "matrices": "matrix",
}

# An ending and what may stand in its place; a word may have more than one singular: movies, categories.
_ENDINGS = (
    ("ies", ("y", "ie")),
    ("ves", ("f", "fe", "ve")),
    ("sses", ("ss",)),
    ("uses", ("us", "use")),
    ("yses", ("ysis",)),
    ("ases", ("ase", "asis", "as")),
    ("ses", ("se", "s", "sis")),
    ("zzes", ("zz", "z")),
    ("xes", ("x", "xe")),
    ("zes", ("ze", "z")),
    ("ches", ("ch", "che")),
    ("shes", ("sh", "she")),
    ("oes", ("o", "oe")),
    ("ss", ("ss",)),
    ("us", ("us",)),
    ("is", ("is",)),
    ("s", ("",)),
)


def normal(name: str) -> str:
    """The name in Unicode's composed form (NFC), the only form that is kept."""
    return unicodedata.normalize("NFC", name)


def table_fault(name: str) -> tuple[str, str] | None:
    """Why a table cannot have this (normal) name, as a code and a sentence, or None."""
    if not TABLE_NAME.fullmatch(name):
        return "name", "a table's name is a letter or _ and then letters, digits and _, 63 at the most"
    if name.casefold() in RESERVED:
        return "reserved", f"the name {name} is reserved; reserved are {', '.join(RESERVED)}"
    if name.casefold().startswith(OWN_PREFIX):
        return "reserved", f"names that begin with {OWN_PREFIX} are reserved"
    return None


def column_fault(name: str) -> tuple[str, str] | None:
    """Why a column cannot have this (normal) name, as a code and a sentence, or None."""
    if not 1 <= len(name) <= MAX_COLUMN_NAME:
        return "name", f"a column's name has 1 to {MAX_COLUMN_NAME} characters"
    if not name.isprintable() or name != name.strip():
        return "name", "a column's name has printable characters only, and no white space at its ends"
    if name.startswith("__"):
        return "reserved", "names that begin with __ are reserved"
    return None


def singulars(plural: str) -> tuple[str, ...]:
    """What one of these may be called, casefolded: `portfolio_projects` gives `portfolio_project`; a singular gives nothing new."""
    head, mark, word = plural.casefold().rpartition("_")
    if word in _IRREGULAR:
        return (head + mark + _IRREGULAR[word],)
    for ending, replacements in _ENDINGS:
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            return tuple(head + mark + stem + replacement for replacement in replacements if stem + replacement)
    return (plural.casefold(),)


def key_names(table: str) -> frozenset[str]:
    """The casefolded column names that speak of a table's own key: id, <table>_id, <singular>_id."""
    return frozenset({"id", f"{table.casefold()}_id", *(f"{one}_id" for one in singulars(table))})
