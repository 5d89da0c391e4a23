"""The floors stand as DESIGN.md says: imports point down, duckdb stays in the store, files stay short."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("schema_registry", "projects", "monitoring", "duckspawn_site")  # the lowest first
LONGEST = 400  # lines
# Loops that must survive anything, and the runner of checks that reports it.
SURVIVORS = {
    "projects/store/writer.py": {"_commit"},
    "projects/jobs.py": {"run"},
    "projects/plan_runs.py": {"_run"},  # What the file has is done, whatever was raised on the way.
    "projects/owner.py": {"_once", "_next", "_deliver"},
    "monitoring/checks.py": {"_find"},
    "monitoring/sampling.py": {"_once"},
}


def files() -> list[Path]:
    """Our own modules; migrations are Django's."""
    found = (path for floor in FLOORS for path in (ROOT / floor).rglob("*.py") if "migrations" not in path.parts)
    return sorted(found)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it, by its full name."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            yield ".".join((*above, node.module or ""))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "__import__"):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def floor_of(module: str) -> int | None:
    floor = module.partition(".")[0]
    return FLOORS.index(floor) if floor in FLOORS else None


def test_every_floor_is_looked_at() -> None:
    assert {name_of(path).partition("/")[0] for path in files()} == set(FLOORS)
    assert "projects/store/writer.py" in map(name_of, files())


def test_imports_point_down_only() -> None:
    upward = [
        f"{name_of(path)} imports {module}"
        for path in files()
        for module in imported(path)
        if (floor := floor_of(module)) is not None and floor > FLOORS.index(path.relative_to(ROOT).parts[0])
    ]
    assert upward == []


def test_only_the_store_imports_duckdb() -> None:
    importers = {name_of(path).rpartition("/")[0] for path in files() if "duckdb" in {m.partition(".")[0] for m in imported(path)}}
    assert importers == {"projects/store"}


def test_pyarrow_waits_for_who_needs_it() -> None:
    """It takes 40 MiB and longer to import than Django: no command and no start should wait for it."""
    at_once = {name_of(path) for path in files() for node in ast.parse(path.read_text()).body if _imports(node, "pyarrow")}
    assert at_once == {"projects/store/arrow.py"}


def _imports(node: ast.stmt, package: str) -> bool:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
    return any(name.partition(".")[0] == package for name in names)


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import duckdb.typing", "duckdb.typing"),
        ("from projects.store import sql", "projects.store"),
        ("def f():\n    from monitoring import checks", "monitoring"),
        ("from . import checks", "projects.store."),
        ("from ..errors import X", "projects.errors"),
        ("import_module('monitoring.checks')", "monitoring.checks"),
    ],
)
def test_an_import_is_seen_wherever_it_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, module: str) -> None:
    monkeypatch.setattr("tests.test_layers.ROOT", tmp_path)
    path = tmp_path / "projects" / "store" / "x.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert list(imported(path)) == [module]


def test_no_file_is_longer_than_a_person_reads() -> None:
    long = {name_of(path): lines for path in files() if (lines := len(path.read_text().splitlines())) > LONGEST}
    assert long == {}


def catchers(tree: ast.AST, function: str = "") -> Iterator[tuple[str, ast.ExceptHandler]]:
    """Every `except` that takes anything, with the function that it stands in."""
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(node, ast.ExceptHandler) and _takes_anything(node.type):
            yield function, node
        yield from catchers(node, inside)


def _takes_anything(caught: ast.expr | None) -> bool:
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return caught is None or any(isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException") for kind in kinds)


def test_only_what_must_survive_anything_catches_everything() -> None:
    swallowers = {}
    for path in files():
        found = {function for function, handler in catchers(ast.parse(path.read_text())) if not _raises_again(handler)}
        if found:
            swallowers[name_of(path)] = found
    assert swallowers == SURVIVORS


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """One that cleans up and lets the error go on swallows nothing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None
