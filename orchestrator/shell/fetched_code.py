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
    r"|\breqwest\b|\bureq\b|\bHttpClient\b|\bFaraday\b|\bHTTParty\b|\bRestClient\b|\bMojo::UserAgent\b|\bIO::Socket\b|\bTCPSocket\b|\bfsockopen\b|\bHTTPoison\b|\bReq\.get",
    re.IGNORECASE,
)
_EVALUATES = re.compile(
    r"\beval\b|\bevaluate\b|\b(?:instance|class|module)_eval\b|\beval_string\b|\bloadstring\b|\bdofile\b|\bnew\s+Function\b"
    r"|\bFunction\s*\(|\brunIn\w*Context\b|\bimportScripts\b|\bInvoke-Expression\b|\bload-(?:file|string)\b|\beval-(?:buffer|region)\b"
    r"|\bScriptEngine|\bGroovyShell\b|\brun_path\b|\bexec_module\b|\bimport_module\b|\bexec\s*\(\s*(?:compile|\w*(?:\.text|\.read|\.content|requests|urlopen|httpx|code|src|source|body|data))"
    r"|(?<![.\w])load\s*\(|\bload\s+URI|\bCode\.(?:eval|compile|require)\w*|\binclude\s*\(\s*download"
    r"|\b(?:include|require|source|load|so)(?:_once)?!?\s*\(?\s*[\"']?https?:(?!//rubygems\.org)"
    r"|\bimport\s*\(\s*(?![\"'`][\w@./:-]+[\"'`]\s*\))|\bimport\s*\(\s*[\"'`](?:https?|data):|\bcompile\s*\([^)]*exec"
)
_CARRIES_OUT = (
    r"\b(?:require|import|spawn\w*|exec\w*|system|run\w*|Popen|call|check_\w+|source|load|dofile|include)"
    r"\s*\(?[^()\n;]*"
)
_ADDRESSES = re.compile(r"\bhttps?://(localhost|127\.|\[::1\]|0\.0\.0\.0)?")
# Of what is in these, no more is known than of what comes from elsewhere: nobody reads it as the code that it may hold.
MEDIA = re.compile(r"(?i).*\.(?:png|jpe?g|gif|ico|bmp|webp|svg|pdf|mp[34]|wav|ogg|flac|avi|mov|mkv|[to]tf|woff2?|eot)")
DATA = re.compile(
    rf"{MEDIA.pattern}|.*\.(?:log|bin|dat|data|blob|img|iso|bak|pcap|db|sqlite3?|json|xml|html?|enc|gpg|asc|pgp|docx?|xlsx?"
    r"|pptx?|csv|tsv|md|txt|gz|xz|bz2|zst|lzma|zip|jar|7z|rar|hex|raw|class|wasm|fw|rom)"
)
_FROM_ELSEWHERE = (Command(("curl",), ""),)


def with_origin(code: str, commands: Iterable[Command | str], via: tuple[str, ...]) -> Iterator[Command | str]:
    """What the code amounts to, where it fetches: the files that it writes come from elsewhere then."""
    if not speaks(code):
        yield from _carved(list(commands))
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


def speaks(code: str) -> bool:
    """Whether code gets something from another machine."""
    addresses = _ADDRESSES.findall(code)
    return bool(_FETCHES.search(code)) and not (addresses and all(addresses))


def _carved(commands: list[Command | str]) -> Iterator[Command | str]:
    """The files that code writes, and which it may have cut out of a file of data, count as fetched too."""
    known = [item for item in commands if isinstance(item, Command)]
    carves = any(item.name == "cat" and item.words[1:] and MEDIA.fullmatch(item.words[1]) for item in known)
    for item in commands:
        if carves and isinstance(item, Command) and any(each.writes for each in item.redirects):
            item = replace(item, upstream=_FROM_ELSEWHERE)
        yield item
