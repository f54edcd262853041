"""One file of the workspace as text that a model may be shown, or the sentence that says why it may not.

Rule: a model's server is another program, perhaps on another machine. So nothing is shown that lies out of the
workspace, that belongs to the orchestrator or to git, or that looks like a key or like a file of secrets. Links are
followed only to where they end inside; the way there is then walked through no link at all.
"""

from __future__ import annotations

import difflib
import os
import re
from fnmatch import fnmatchcase

from orchestrator.errors import is_shortage
from orchestrator.runners.fence import Fence, why

MAX_BYTES = 1024 * 1024
"""The largest file that is looked at: about a quarter of a million tokens, more than any model here has room for."""

_SECRET_FOLDERS = frozenset((".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store"))
_SECRET_FILES = (
    ".env", ".env.*", "*.env", ".envrc", ".netrc", ".npmrc", ".pypirc", ".pgpass", ".git-credentials", ".htpasswd",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.pem", "*.key", "*.p12", "*.pfx", "*.ppk", "*.kdbx", "*.jks",
    "*.keystore", "*.keytab", "credentials", "credentials.json", "secrets.json", "secrets.toml", "secrets.yaml",
    "secrets.yml", "service-account*.json", "*.tfvars", "*.tfstate",
)  # fmt: skip
_TEMPLATES = (".example", ".sample", ".template", ".dist")
_PRIVATE_KEY = re.compile(r"^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\s*$", re.MULTILINE)


class Unshown(Exception):
    """A file that can't be shown to a model; the message is a part of a sentence that goes on from the file's name."""


def read_text(fence: Fence, workspace: str, path: str) -> str:
    """A file's text, with `\\n` alone at the ends of lines. Raises Unshown; OSError for a shortage of ours."""
    root = os.path.realpath(workspace)
    real = os.path.realpath(f"{root}/{path}")
    if not real.startswith(root.rstrip("/") + "/"):
        raise Unshown("leads out of the workspace through a symbolic link")
    inside = os.path.relpath(real, root)
    for name in (path, inside):
        refuse_secret(name)
    try:
        with open(fence.open_file(inside), "rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Unshown(f"does not exist in the workspace{_near(root, inside)}") from None
    except OSError as error:
        if is_shortage(error):
            raise
        raise Unshown(f"can't be read: {why(error)}") from error
    return text_of(data)


def _near(root: str, inside: str) -> str:
    """The nearest name where the first part of a path is that is not there."""
    there, parts = "", inside.split("/")
    while len(parts) > 1 and os.path.isdir(f"{root}/{there}{parts[0]}"):
        there += f"{parts.pop(0)}/"
    try:
        names = os.listdir(f"{root}/{there}")
    except OSError:
        return ""  # the folder went away, or can't be read: that the file is not there is said all the same
    found = difflib.get_close_matches(parts[0], names, n=1)
    return f" (did you mean {there}{'/'.join([*found, *parts[1:]])}?)" if found else ""


def refuse_secret(path: str) -> None:
    """Raises Unshown where a path is one under which secrets are kept."""
    *folders, name = path.casefold().split("/")
    if _SECRET_FOLDERS & set(folders):
        raise Unshown("lies in a folder for keys and credentials; no model is shown those")
    if not name.endswith(_TEMPLATES) and any(fnmatchcase(name, pattern) for pattern in _SECRET_FILES):
        raise Unshown("has a name that files with secrets have; no model is shown those")


def text_of(data: bytes) -> str:
    """What the bytes of a file say. Raises Unshown for what is too large, no text, or a private key."""
    if len(data) > MAX_BYTES:
        raise Unshown(f"is larger than {MAX_BYTES // 1024:,} KiB; name a smaller file, or a part of it")
    if b"\0" in data:
        raise Unshown("is no text: it holds NUL bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unshown(f"is no UTF-8 text: byte {error.start} is 0x{data[error.start]:02x}") from None
    if _PRIVATE_KEY.search(text):
        raise Unshown("holds a private key; no model is shown those")
    return text.replace("\r\n", "\n").replace("\r", "\n")
