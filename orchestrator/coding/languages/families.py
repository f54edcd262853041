"""What language a file is in, by its name, and what models call that language in front of a block of code.

A *family* is a language together with its dialects: a block that is marked `ts` may well be the `.tsx` that was asked
for. Whether it really is, the syntax gate says.
"""

from __future__ import annotations

import os

_FAMILIES: dict[str, tuple[str, str]] = {
    # family: (endings of file names, further labels of blocks)
    "python": ("py pyi pyw", "python python2 python3 py3 ipython python-repl"),
    "script": (
        "js mjs cjs jsx ts mts cts tsx",
        "javascript typescript node nodejs ecmascript es6 esm react javascriptreact typescriptreact",
    ),
    "json": ("json jsonl ndjson json5 jsonc webmanifest geojson ipynb", ""),
    "toml": ("toml", ""),
    "yaml": ("yaml yml", ""),
    "shell": ("sh bash zsh ksh", "shell shellscript shell-script posix"),
    "markdown": ("md markdown mdx", "commonmark gfm"),
    "markup": ("html htm xhtml xml svg vue svelte astro", "html5"),
    "style": ("css scss sass less", ""),
    "sql": ("sql", "postgresql postgres mysql sqlite plsql"),
    "go": ("go", "golang"),
    "rust": ("rs", "rust"),
    "java": ("java", ""),
    "kotlin": ("kt kts", "kotlin"),
    "c": ("c h cc cpp cxx hpp hh hxx m mm", "c++ objc objective-c"),
    "csharp": ("cs", "csharp c#"),
    "ruby": ("rb", "ruby"),
    "php": ("php", ""),
    "swift": ("swift", ""),
    "lua": ("lua", ""),
    "perl": ("pl pm", "perl"),
    "r": ("r", ""),
    "elixir": ("ex exs", "elixir"),
    "haskell": ("hs", "haskell"),
    "scala": ("scala sc", ""),
    "dart": ("dart", ""),
    "graphql": ("graphql gql", ""),
    "proto": ("proto", "protobuf"),
    "terraform": ("tf tfvars hcl", "terraform"),
    "ini": ("ini cfg conf properties env", "dotenv"),
    "csv": ("csv tsv", ""),
    "text": ("txt text", ""),
    "docker": ("dockerfile", "docker"),
    "make": ("mk makefile", "make"),
    "diff": ("diff patch", "udiff"),
    "session": ("", "console terminal output shell-session sh-session shellsession stdout log powershell cmd bat"),
}
NEUTRAL = frozenset(("", "text", "txt", "plain", "plaintext", "code", "none", "file", "raw", "output_file"))
"""Labels that say nothing about the language."""

_BY_ENDING = {ending: family for family, (endings, _) in _FAMILIES.items() for ending in endings.split()}
_BY_LABEL = _BY_ENDING | {label: family for family, (_, labels) in _FAMILIES.items() for label in labels.split()}


def ending_of(path: str) -> str:
    """`py` of `a/b.py`; the whole name where it has no ending, as `makefile` and `dockerfile`; always lower-case."""
    name = os.path.basename(path).lower()
    return name.rpartition(".")[2]


def family_of(path: str) -> str:
    """The family of a file's language; empty where its name does not tell."""
    return _BY_ENDING.get(ending_of(path), "")


def family_of_label(label: str) -> str:
    """The family that a block's label, in lower case, names; empty for one that names none that is known."""
    return "" if label in NEUTRAL else _BY_LABEL.get(label, "")
