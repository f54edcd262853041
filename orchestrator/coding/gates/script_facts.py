"""What a constraint can ask about a JavaScript or TypeScript file, from its code without comments and strings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from orchestrator.coding.gates.facts import Export, Found, Kind
from orchestrator.coding.languages.script import code_of, comments_of

_BUILT_IN = frozenset(
    (
        "assert",
        "async_hooks",
        "buffer",
        "child_process",
        "cluster",
        "console",
        "constants",
        "crypto",
        "dgram",
        "diagnostics_channel",
        "dns",
        "domain",
        "events",
        "fs",
        "http",
        "http2",
        "https",
        "inspector",
        "module",
        "net",
        "os",
        "path",
        "perf_hooks",
        "process",
        "punycode",
        "querystring",
        "readline",
        "repl",
        "stream",
        "string_decoder",
        "test",
        "timers",
        "tls",
        "trace_events",
        "tty",
        "url",
        "util",
        "v8",
        "vm",
        "wasi",
        "worker_threads",
        "zlib",
    )
)
_LOCAL = re.compile(r"[./~#]|@/|\$lib\b|src/|node:")
_IMPORT = re.compile(
    r"\b(?:import\b(?!\s*[(.])(?:[^;'\"]{0,4000}?\bfrom)?|export\b[^;'\"()=]{0,4000}?\bfrom|(?:require|import)\s*\()\s*(['\"])"
)
_NAME = r"[A-Za-z_$][\w$]*"
_PARAMETERS = r"\([^()]{0,2000}(?:\([^()]{0,500}\)[^()]{0,500}){0,8}\)"
_ARROW = (
    rf"(?:async\s*)?(?:function\b|{_NAME}\s*=>|(?:<[^()\n]{{0,200}}>\s*)?{_PARAMETERS}\s*(?::[^=;{{}}]{{0,300}})?=>)"
)
_TYPE = r"\s*(?::[^=;\n]{0,300}(?:=>[^=;\n]{0,300})?)?"
_DECLARED = re.compile(
    rf"\b(?P<export>export\s+)?(?:declare\s+|abstract\s+)*"
    rf"(?:(?:async\s+)?function\s*\*?\s*(?P<f>{_NAME})|class\s+(?P<c>{_NAME})"
    rf"|(?:interface|type|(?:const\s+)?enum|namespace)\s+(?P<t>{_NAME})(?=\s*[<={{\w])"
    rf"|(?:const|let|var)\s+(?P<v>{_NAME})(?P<arrow>{_TYPE}=\s*{_ARROW})?)"
)
_EXPORT_LIST = re.compile(r"\bexport\s*(?:type\s*)?\{([^}]*)\}|\bmodule\.exports\s*=\s*\{([^}]*)\}")
_EXPORT_DEFAULT = re.compile(r"\bexport\s+default\b|\bmodule\.exports\s*=\s*(?![\s{])|\bexport\s*=")
_EXPORT_ALL = re.compile(r"\bexport\s*\*")
_EXPORT_PROPERTY = re.compile(
    rf"\b(?:module\.)?exports\.(?P<name>{_NAME})\s*=(?!=)\s*(?:"
    rf"(?P<function>(?:async\s*)?(?:function\b|{_NAME}\s*=>|\([^()]*\)\s*=>))|(?P<value>{_NAME})\s*(?:;|$))?",
    re.MULTILINE,
)
_ANY = re.compile(r"(?:[:<|&,(]|\bas|=>|\bextends|=)\s*any\b(?=\s*[;,)>\]|&={}\[\n]|\s*$)|\bany\[\]", re.MULTILINE)
_TEST = re.compile(r"(?<![.\w$])(?:it|test)(?:\.(?:each|only|concurrent|skip|todo|fails)\b[^(\n]{0,100})?\s*\(")


class ScriptFacts:
    def __init__(self, text: str, *, typed: bool, markup: bool) -> None:
        self._text, self.typed, self._markup = text, typed, markup
        self._code = code_of(text, markup=markup)

    @cached_property
    def imports(self) -> list[Found]:
        return [Found(line, f"import of {name}") for name, line in self._imported()]

    @cached_property
    def dependencies(self) -> list[Found]:
        return [
            Found(line, f"import of {name}")
            for name, line in self._imported()
            if not _LOCAL.match(name) and name.partition("/")[0] not in _BUILT_IN
        ]

    @cached_property
    def exports(self) -> list[Export]:
        declared = [(one, exported) for one, exported, _ in self._declared()]
        kinds = {one.name: one.kind for one, _ in declared}
        found = [one for one, exported in declared if exported]
        for match in _EXPORT_LIST.finditer(self._code):
            line = self._line(match.start())
            pairs = _listed(match[1] if match[1] is not None else match[2])
            found += [_export(outer, kinds.get(name, "value"), line) for name, outer in pairs]
        for match in _EXPORT_PROPERTY.finditer(self._code):
            kind: Kind = "function" if match["function"] else kinds.get(match["value"] or "", "value")
            found.append(_export(match["name"], kind, self._line(match.start())))
        found += [_export("default", "value", self._line(one.start())) for one in _EXPORT_DEFAULT.finditer(self._code)]
        found += [Export("*", "all", self._line(one.start())) for one in _EXPORT_ALL.finditer(self._code)]
        return found

    @cached_property
    def names(self) -> list[str]:
        """The functions, classes and types that begin at the start of a line, and what is exported by name."""
        starts = {0} | {match.end() for match in re.finditer("\n", self._code)}
        tops = [one.name for one, _, start in self._declared() if start in starts and one.kind != "value"]
        return list(dict.fromkeys([*tops, *(one.name for one in self.exports if one.kind not in ("default", "all"))]))

    @cached_property
    def functions(self) -> list[Found]:
        return [Found(one.line, f"function {one.name}") for one, _, _ in self._declared() if one.kind == "function"]

    @cached_property
    def classes(self) -> list[Found]:
        return [Found(one.line, f"class {one.name}") for one, _, _ in self._declared() if one.kind == "class"]

    @cached_property
    def tests(self) -> list[Found]:
        return self.matches(_TEST)

    @cached_property
    def comments(self) -> list[Found]:
        """All but those that document what follows."""
        starts = [at for at in comments_of(self._text, markup=self._markup) if not self._text.startswith("/**", at)]
        return [Found(self._line(at), self._text[at : at + 60].split("\n")[0]) for at in starts]

    @cached_property
    def prints(self) -> list[Found]:
        return self.matches(re.compile(r"\bconsole\s*\.\s*(?:log|debug|info|warn|error|trace|dir|table)\b"))

    @cached_property
    def anys(self) -> list[Found]:
        return [Found(one.line, "any") for one in self.matches(_ANY)]

    @cached_property
    def evals(self) -> list[Found]:
        return self.matches(re.compile(r"(?<![.\w$])eval(?=\s*\()"))

    @cached_property
    def common(self) -> list[Found]:
        """What is CommonJS and no ES module."""
        return self.matches(re.compile(r"(?<![.\w$])(?:require(?=\s*\()|module\.exports\b|exports\.\w+(?=\s*=))"))

    def matches(self, pattern: re.Pattern[str]) -> list[Found]:
        """Where a pattern is in the code, comments and strings left aside."""
        return [Found(self._line(match.start()), match[0].strip()) for match in pattern.finditer(self._code)]

    @cached_property
    def undocumented(self) -> list[Found]:
        """Exported functions and classes without a `/** … */` right before them."""
        exported = {one.name for one in self.exports}
        known = [(one, start) for one, _, start in self._declared() if one.kind in ("function", "class")]
        asked = [pair for pair in known if pair[0].name in exported]
        if not asked and "default" in exported:
            asked = known[:1]
        if not asked and "/**" not in self._text:
            return [Found(1, "it has no JSDoc comment")]
        return [
            Found(one.line, f"{one.name} has no JSDoc comment") for one, start in asked if not self._documented(start)
        ]

    @cached_property
    def untyped(self) -> list[Found]:
        """Functions at whose declaration a parameter has no type."""
        found = []
        for one, _, start in self._declared():
            if one.kind == "function" and (name := _untyped_parameter(self._code[start : start + 4_000])):
                found.append(Found(one.line, f"{one.name}: the parameter {name} has no type"))
        return found

    def _documented(self, start: int) -> bool:
        before = self._text[:start].rstrip()
        before = re.sub(r"(?:\bexport|\bdefault|@[\w.]+(?:\([^()]*\))?)\s*$", "", before).rstrip()
        return before.endswith("*/") and before.rpartition("/*")[2].startswith("*")

    def _declared(self) -> Iterator[tuple[Export, bool, int]]:
        for match in _DECLARED.finditer(self._code):
            kind: Kind = "function" if match["f"] or match["arrow"] else "class" if match["c"] else "value"
            name = match["f"] or match["c"] or match["t"] or match["v"]
            one = Export(name, "type" if match["t"] else kind, self._line(match.start()))
            yield one, bool(match["export"]), match.start()

    def _imported(self) -> Iterator[tuple[str, int]]:
        for match in _IMPORT.finditer(self._code):
            end = self._text.find(match[1], match.end())
            yield self._text[match.end() : end], self._line(match.start())

    def _line(self, position: int) -> int:
        return self._code.count("\n", 0, position) + 1


def _export(name: str, kind: Kind, line: int) -> Export:
    return Export(name, "default" if name == "default" else kind, line)


def _listed(names: str) -> Iterator[tuple[str, str]]:
    """`a, b as c, d: e` as pairs of the name here and the name outside."""
    for entry in names.split(","):
        if match := re.match(rf"\s*(?:type\s+)?({_NAME})(?:\s+as\s+({_NAME})|\s*:\s*({_NAME}))?", entry):
            yield (match[3], match[1]) if match[3] else (match[1], match[2] or match[1])


def _untyped_parameter(declaration: str) -> str:
    """The first parameter without a type; parameters end at the bracket that closes them."""
    opened = declaration.find("(")
    depth, start, parts = 0, opened + 1, []
    for place in range(opened, len(declaration)):
        char = declaration[place]
        depth += (char in "([{<") - (char in ")]}" or (char == ">" and declaration[place - 1] != "="))
        if (char == "," and depth == 1) or depth == 0:
            parts.append(declaration[start:place])
            start = place + 1
        if depth == 0:
            break
    return next(
        (part.strip()[:40] for part in parts if part.strip() and ":" not in part and part.strip() != "this"), ""
    )
