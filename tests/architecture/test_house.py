"""The rules of the house that a program can check."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {
    "pyproject.toml",
    "uv.lock",
    "app",
    "engine",
    "tests",
    "Dockerfile",
    "alembic",
    "alembic.ini",
    "README.md",
}
MODULE_LINES, FUNCTION_LINES, KERNEL_LINES = 400, 50, 100
FOREIGN = ("fastapi", "sqlalchemy", "starlette", "uvicorn")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tracked() -> list[str]:
    """Files git knows or would add, relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).exists())


MODULES = [name for name in tracked() if name.endswith(".py")]


def parse(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def length(function: Function) -> int:
    """Lines from ``def`` to the end, without those of the docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def is_kernel(function: Function) -> bool:
    return any(isinstance(d, ast.Name) and d.id in {"kernel", "part"} for d in function.decorator_list)


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether everything is caught and nothing done about it."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    broad = any(t is None or ast.unparse(t) in ("Exception", "BaseException") for t in caught)
    return broad and all(
        isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) for s in handler.body
    )


def test_the_top_of_the_repository_is_short() -> None:
    top = {name.split("/")[0] for name in tracked()}
    assert {name for name in top if not name.startswith(".")} <= ALLOWED


@pytest.mark.parametrize("name", MODULES)
def test_modules_and_functions_are_of_readable_length(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= MODULE_LINES
    long = {
        f.name: length(f)
        for f in functions(parse(name))
        if length(f) > (KERNEL_LINES if is_kernel(f) else FUNCTION_LINES)
    }
    assert long == {}


@pytest.mark.parametrize("name", MODULES)
def test_no_error_is_swallowed(name: str) -> None:
    handlers = [n for n in ast.walk(parse(name)) if isinstance(n, ast.ExceptHandler)]
    assert [h.lineno for h in handlers if swallows(h)] == []


def test_the_check_for_swallowed_errors_works() -> None:
    code = "try: f()\nexcept Exception: pass\ntry: f()\nexcept (KeyError, BaseException): ...\ntry: f()\nexcept: pass"
    bad = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.ExceptHandler)]
    assert [swallows(h) for h in bad] == [True] * 3
    fine = ast.parse("try: f()\nexcept KeyError: pass\ntry: f()\nexcept Exception: g()")
    assert not any(swallows(n) for n in ast.walk(fine) if isinstance(n, ast.ExceptHandler))


def test_the_engine_stands_alone() -> None:
    code = "import engine, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split()
    assert "engine" in loaded
    assert not {*FOREIGN, "app"} & set(loaded)
