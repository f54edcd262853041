"""The templates of units, as they come with this version.

They are read from the seed and from nowhere else: what lies in a home, a step may have written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.seed import seed_root

_GAP = re.compile(r"@([A-Z]+)@")


def template(path: str) -> str:
    """The text of one, such as `systemd/daemon.service`. Raises FatalError for an installation without a seed."""
    with open(f"{seed_root()}/{path}", encoding="utf-8") as handle:
        return handle.read()


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each @NAME@ replaced. A line that is nothing but a gap goes where its value is empty."""
    lines = []
    for line in text.splitlines():
        alone = _GAP.fullmatch(line)
        if alone is None or values[alone[1]]:
            lines.append(_GAP.sub(lambda gap: values[gap[1]], line))
    return "\n".join(lines) + "\n"
