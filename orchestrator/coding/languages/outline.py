"""A source file without its bodies: what it offers to others, for a model that has no room for all of it.

Rule: signatures, docstrings and constants are kept, word for word where that is short; what begins with an underscore
is nobody else's business. What can't be parsed has no outline: half of one would mislead.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator, Sequence

from orchestrator.coding.languages.outline_script import outline_of_script

_PYTHON = (".py", ".pyi")
_SCRIPT = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx")
_LONGEST_VALUE = 200
_ELLIPSIS = ast.Expr(ast.Constant(...))


def outline(path: str, text: str) -> str | None:
    """The outline of a file; None where there is no way to make one, or it would not be shorter."""
    ending = os.path.splitext(path)[1].casefold()
    made = None
    if ending in _PYTHON:
        made = _of_python(text, os.path.basename(path) == "__init__.py")
    elif ending in _SCRIPT:
        made = outline_of_script(text)
    return made if made and len(made) < len(text) else None


def _of_python(text: str, package: bool) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the file's own strings
            tree = ast.parse(text)
        tree.body = list(_offered(tree.body, imports=package))
        return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _offered(body: Sequence[ast.stmt], *, imports: bool = False) -> Iterator[ast.stmt]:
    """The statements of a module or a class that others may use, without what lies inside; a text right below a
    constant is that one's docstring."""
    kept: ast.stmt | None = None
    for index, node in enumerate(body):
        if _is_docstring(node) and (index == 0 or kept is body[index - 1]):
            yield node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if not _private(node.name):
                yield _shut(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            if _is_offered(node):
                kept = _shortened(node)
                yield kept
        elif isinstance(node, ast.Try | ast.If) and not _is_main(node):
            yield from _offered([*node.body, *node.orelse], imports=imports)
        elif (imports and isinstance(node, ast.Import | ast.ImportFrom)) or type(node).__name__ == "TypeAlias":
            yield node


def _shut(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.stmt:
    if isinstance(node, ast.ClassDef):
        node.body = list(_offered(node.body)) or [_ELLIPSIS]
    else:
        node.body = [*([node.body[0]] if _is_docstring(node.body[0]) else []), _ELLIPSIS]
    return node


def _is_offered(node: ast.Assign | ast.AnnAssign) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(target, ast.Name) and not _private(target.id) for target in targets)


def _shortened(node: ast.Assign | ast.AnnAssign) -> ast.stmt:
    if node.value is not None and len(ast.unparse(node.value)) > _LONGEST_VALUE:
        node.value = ast.Constant(...)
    return node


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_main(node: ast.Try | ast.If) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def _private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")
