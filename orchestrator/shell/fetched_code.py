"""Code that fetches, in any language: what it writes counts as fetched, and what it evaluates is a fact for rules.

Rule: by the words of the code alone. Fetching is no fault, and neither is evaluating: both together are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from orchestrator.shell.command import Command

_FETCHES = re.compile(
    r"\bfetch\s*\(|\burlopen\b|\burlretrieve\b|\brequests\.(?:get|post|request|Session)\b|\bhttpx\.|\bhttp\.client\b"
    r"|\bhttps?[\"'`)]*\.(?:get|request)\b|\bNet::HTTP\b|open-uri|\bURI(?:\.open|\.parse)?\s*\(|\bLWP::|\bHTTP::"
    r"|\bfile_get_contents\s*\(\s*[\"']https?:|\bcurl_exec\b|\bsocket\.http\b|\bhttpc[:,.]|\bnew\s+URL\s*\(|\bopenStream\b"
    r"|\burl-(?:retrieve|copy-file|insert)\b|\b(?:readLines|source|include|require|load|read_html|scan)\s*\(?\s*[\"']https?:"
    r"|\bimport\s*\(\s*[\"'`]https?:|\bso(?:urce)?!?\s+https?:"
    r"|\b(?:copy|getstore|mirror)\s*\(\s*[\"']https?:|\bdownload(?:_?file|String|\.file)?\s*\(|\bDownload(?:String|File)\b|\baxios\b|\bgot\s*\(|\bhttp\.Get\s*\("
    r"|\breqwest\b|\bureq\b|\bHttpClient\b|\bFaraday\b|\bHTTParty\b|\bRestClient\b|\bMojo::UserAgent\b|\bHTTPoison\b|\bReq\.get",
    re.IGNORECASE,
)
_EVALUATES = re.compile(
    r"\beval\b|\bevaluate\b|\b(?:instance|class|module)_eval\b|\beval_string\b|\bloadstring\b|\bdofile\b|\bnew\s+Function\b"
    r"|\bFunction\s*\(|\brunIn\w*Context\b|\bimportScripts\b|\bInvoke-Expression\b|\bload-(?:file|string)\b|\beval-(?:buffer|region)\b"
    r"|\bScriptEngine|\bGroovyShell\b|\brun_path\b|\bexec_module\b|\bimport_module\b|\bexec\s*\(\s*(?:compile|\w*(?:\.text|\.read|\.content|requests|urlopen|httpx|code|src|source|body|data))"
    r"|(?<![.\w])load\s*\(|\bload\s+URI|\bCode\.(?:eval|compile|require)\w*|\binclude\s*\(\s*download"
    r"|\b(?:include|require|source|load|so)(?:_once)?!?\s*\(?\s*[\"']?https?:"
    r"|\bimport\s*\(\s*(?![\"'`][\w@./:-]+[\"'`]\s*\))|\bimport\s*\(\s*[\"'`](?:https?|data):|\bcompile\s*\([^)]*exec"
)
_CARRIES_OUT = (
    r"\b(?:require|import|spawn\w*|exec\w*|system|run\w*|Popen|call|check_\w+|source|load|dofile|include)"
    r"\s*\(?[^()\n;]*"
)
_ADDRESSES = re.compile(r"\bhttps?://(localhost|127\.|\[::1\]|0\.0\.0\.0)?")
_FROM_ELSEWHERE = (Command(("curl",), ""),)


def with_origin(code: str, commands: Iterable[Command | str], via: tuple[str, ...]) -> Iterator[Command | str]:
    """What the code amounts to, where it fetches: the files that it writes come from elsewhere then."""
    addresses = _ADDRESSES.findall(code)
    if not _FETCHES.search(code) or (addresses and all(addresses)):
        yield from commands
        return
    runs = bool(_EVALUATES.search(code))
    for item in commands:
        written = [each.target for each in item.redirects if each.writes] if isinstance(item, Command) else []
        runs = runs or any(re.search(_CARRIES_OUT + re.escape(path), code) for path in written)
        if isinstance(item, Command) and item.name == "cp":
            yield replace(item, words=("curl", "-o", item.words[-1], "https://elsewhere"), expands=())
        yield replace(item, upstream=_FROM_ELSEWHERE) if written and isinstance(item, Command) else item
    if runs:
        yield Command(("fetched-code",), code.strip()[:200], via=via)
