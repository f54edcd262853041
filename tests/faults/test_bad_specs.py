"""The whole corpus of bad specs, dropped into the inbox of one living daemon."""

import json
import shutil
import tomllib
from pathlib import Path

from conftest import smoke, until

from orchestrator.intake.problem import Problem

CORPUS = Path(__file__).parent.parent / "corpora/bad_specs"
EXPECTED = tomllib.loads((CORPUS / "expected.toml").read_text("utf-8"))


def test_no_bad_spec_stops_the_daemon_and_each_lands_in_failed_with_its_reason(house):
    house.start(env={"ORCHESTRATOR_DAEMON__SETTLE": "100", "ORCHESTRATOR_DAEMON__RESCAN": "200"})
    failed = Path(house.home.failed)
    names = {}
    for number, name in enumerate(EXPECTED):  # several share a stem, and would take each other's place
        names[name] = f"{number}-{name}"
        shutil.copy(CORPUS / name, f"{house.home.inbox}/.{name}.tmp")
        Path(f"{house.home.inbox}/.{name}.tmp").rename(f"{house.home.inbox}/{names[name]}")
    until(lambda: not house.names("inbox"), "the inbox to be empty")
    unexplained = {}
    for name, dropped in names.items():
        stem = dropped.removesuffix(".json").removesuffix(".yaml").removesuffix(".yml")
        assert (failed / dropped).read_bytes() == (CORPUS / name).read_bytes()
        result = json.loads((failed / f"{stem}.result.json").read_text())
        assert (result["status"], result["results"]) == ("invalid", []), name
        told = "\n".join(Problem(**problem).render(name) for problem in result["errors"])
        if not all(text in told for text in EXPECTED[name]["says"]):
            unexplained[name] = result["reason"]
    assert unexplained == {}
    assert house.names("running") == house.names("done") == []
    house.drop(smoke("after"))
    assert house.result("after")["status"] == "ok"
    assert "internal error" not in (house.root / "daemon.log").read_text()
