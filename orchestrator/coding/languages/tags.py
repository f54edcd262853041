"""What a file's language is called, by people and behind an opening fence: for the prompt.

Rule: data, and one look-up. A name that says nothing is no error: then the model goes by the name itself.
"""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.coding.languages.families import ending_of


class Language(NamedTuple):
    """`tag` is what stands behind an opening fence, `name` what people say."""

    tag: str
    name: str


_UNKNOWN = Language("", "what the file's name says")
_MARKDOWN = Language("markdown", "Markdown")
_BY_ENDING = {
    "py": Language("python", "Python"),
    "pyi": Language("python", "Python (stub)"),
    "js": Language("javascript", "JavaScript"),
    "mjs": Language("javascript", "JavaScript (ES module)"),
    "cjs": Language("javascript", "JavaScript (CommonJS)"),
    "jsx": Language("jsx", "JavaScript with JSX"),
    "ts": Language("typescript", "TypeScript"),
    "mts": Language("typescript", "TypeScript (ES module)"),
    "cts": Language("typescript", "TypeScript (CommonJS)"),
    "tsx": Language("tsx", "TypeScript with JSX"),
    "vue": Language("vue", "Vue"),
    "svelte": Language("svelte", "Svelte"),
    "json": Language("json", "JSON"),
    "toml": Language("toml", "TOML"),
    "yaml": Language("yaml", "YAML"),
    "yml": Language("yaml", "YAML"),
    "xml": Language("xml", "XML"),
    "html": Language("html", "HTML"),
    "css": Language("css", "CSS"),
    "scss": Language("scss", "SCSS"),
    "sql": Language("sql", "SQL"),
    "sh": Language("bash", "shell script"),
    "bash": Language("bash", "Bash"),
    "md": _MARKDOWN,
    "mdx": _MARKDOWN,
    "markdown": _MARKDOWN,
    "rst": Language("rst", "reStructuredText"),
    "txt": Language("text", "plain text"),
    "csv": Language("csv", "CSV"),
    "go": Language("go", "Go"),
    "rs": Language("rust", "Rust"),
    "java": Language("java", "Java"),
    "kt": Language("kotlin", "Kotlin"),
    "swift": Language("swift", "Swift"),
    "rb": Language("ruby", "Ruby"),
    "php": Language("php", "PHP"),
    "lua": Language("lua", "Lua"),
    "c": Language("c", "C"),
    "h": Language("c", "C (header)"),
    "cpp": Language("cpp", "C++"),
    "hpp": Language("cpp", "C++ (header)"),
    "cs": Language("csharp", "C#"),
    "dockerfile": Language("dockerfile", "Dockerfile"),
    "makefile": Language("makefile", "Makefile"),
}


def language_of(path: str) -> Language:
    """The language of a file, by the ending of its name, else by the name."""
    return _BY_ENDING.get(ending_of(path), _UNKNOWN)
