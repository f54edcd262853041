"""The deny class as a matrix: every way of destroying or laying open × every place that nobody may approve it for.

Rule: lists, multiplied. A hole is a row or a column, so that what is added to one list is tried with all of the other.
Only judged, never run; `PLACE` stands for each of the places.
"""

from __future__ import annotations

import pytest
from standard_rules import RULES

from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide

HOME, WORKSPACE = "/home/user", "/srv/project/work"


def verdict(script: str, workspace: str = WORKSPACE) -> str:
    argv = ("bash", "-c", script)
    call = Call(0, "bash", "process", argv[1:], argv, {"HOME": HOME}, workspace, 1_000)
    context = Context(risk="low", home_dir=f"{workspace}/orch", workspace=workspace, user_home=HOME)
    return decide(call, RULES, context).verdict


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


# The machine, what belongs to the system, a home, a folder above the workspace or the orchestrator's own home.
PLACES = ("/", "/etc", "/usr/lib", "~", '"$HOME"', "/home/bob", "/root", "..", "/srv/project", "~/.", "/e??")

WAYS_TO_DESTROY = lines(r"""
rm -rf PLACE
rm -r PLACE/*
cd PLACE && rm -rf *
pushd PLACE && find . -type f -delete
cd PLACE || exit; rm -rf ./*
find PLACE -delete
find PLACE -type f -exec rm {} +
find PLACE -type f -exec sh -c 'for f; do rm "$f"; done' _ {} +
find PLACE -type f | parallel rm {}
find PLACE -type f | while read -r f; do rm "$f"; done
bfs PLACE -delete
fd -tf . PLACE -x rm
fdfind . PLACE -x rm -rf {}
for f in PLACE/*; do rm -rf "$f"; done
rsync -a --delete empty/ PLACE/
rclone sync empty PLACE
tar cf x.tar --remove-files PLACE
tar czf x.tgz --remove-files -C PLACE .
git -C PLACE clean -fdx
git -C PLACE rm -rf .
gio trash PLACE
truncate -s0 PLACE/**
echo PLACE | xargs rm -rf
xargs -I{} rm -rf {} <<< PLACE
read -r d <<< PLACE; rm -rf "$d"
while IFS= read -r d; do rm -rf "$d"; done < <(printf '%s\n' PLACE)
mapfile -t a < <(echo PLACE); rm -rf "${a[@]}"
rush 'rm -rf {}' <<< PLACE
rm -rf "$(dirname PLACE/x)"
rm -rf $(ls -d PLACE)
a=(r m); c=$(IFS=; echo "${a[*]}"); $c -rf PLACE
""")

WAYS_TO_LAY_OPEN = lines(r"""
chmod -R 777 PLACE
chown -R nobody PLACE
find PLACE -exec chmod 777 {} +
cd PLACE && chmod -R a+w .
mv PLACE /tmp/x
setfacl -R -m o:rwx PLACE
""")

# What a container calls a folder of its host is still that folder; all else is the container's own.
WAYS_THROUGH_CONTAINERS = lines(r"""
docker run --rm -v PLACE:/x alpine rm -rf /x
docker run --rm -v PLACE:/x -w /x alpine sh -c 'rm -rf *'
docker run --volume=PLACE:/x alpine sh -c 'd=/x; for f in $d/*; do rm -rf "$f"; done'
podman run -v PLACE:/x:z docker.io/alpine sh -c 'cd /x && rm -rf -- * .[!.]*'
docker create --mount type=bind,source=PLACE,target=/x alpine find /x -delete
docker run -v PLACE:/x python python -c "import shutil; shutil.rmtree('/x')"
docker run -v PLACE:/x alpine chmod -R 777 /x
bwrap --bind PLACE /x rm -rf /x
""")

IN_CONTAINERS_OF_THEIR_OWN = lines(r"""
docker run --rm -v "$PWD":/app -w /app node:20 npm ci && rm -rf node_modules
docker run --rm -v "$PWD":/app alpine rm -rf /var/cache/apk /app/build
docker run --rm -v "$PWD":/src debian sh -c 'apt-get update && rm -rf /var/lib/apt/lists/* && make -C /src'
docker run --rm -v "$PWD":/work alpine chown -R 1000:1000 /work/out
docker run --rm -v cache:/root/.cache -v "$PWD":/w -w /w rust cargo build
bwrap --ro-bind / / --dev /dev --bind "$PWD" "$PWD" make
""")

# Who deletes below what may be empty, or goes there first, deletes what is left of the name.
EMPTIED = lines(r"""
rm -rf "$X/"*
rm -rf "$X"/usr
rm -rf "/opt/$X"
rm -rf ~/"$X"
rm -rf "/$X"
rm -rf "$A/$B"/*
find "$X/etc" -delete
rsync -a --delete empty/ "$X/usr/"
cd $X && rm -rf *
cd $X; rm -rf *
cd "$X/" && rm -rf *
cd "$X/etc" && rm -rf ./*
D=$(cd "$X" && pwd); rm -rf "$D"/*
D=$(cd x 2>/dev/null && echo $PWD); rm -rf "$D/"*
D=$(cat folder.txt); rm -rf "$D"/*
""")

NOT_EMPTIED = lines(r"""
rm -rf "${X:?}"/*
rm -rf "$X/build"
rm -rf "build/$X"
rm -rf "/tmp/$X"
rm -f "$X"/*
chmod -R u+rwX "$X"/*
cd build && rm -rf *
cd "$(mktemp -d)" && rm -rf *
D="$(cd "$(dirname "$0")/.." && pwd)"; rm -rf "$D/node_modules"
find "$X" -name '*.pyc' -delete
fd -e pyc . build -x rm
fd '\.orig$' -x rm
for f; do echo "$f"; done
ls -d */ | xargs -n1 du -s
find . -name '*.o' | parallel rm {}
""")


@pytest.mark.parametrize("way", [*WAYS_TO_DESTROY, *WAYS_TO_LAY_OPEN])
def test_no_way_leads_to_a_vital_place(way: str) -> None:
    assert [place for place in PLACES if verdict(way.replace("PLACE", place)) != "deny"] == []


@pytest.mark.parametrize("way", WAYS_THROUGH_CONTAINERS)
def test_no_container_leads_to_a_vital_place(way: str) -> None:
    places = [place for place in PLACES if "?" not in place]
    assert [place for place in places if verdict(way.replace("PLACE", place)) != "deny"] == []


@pytest.mark.parametrize("script", IN_CONTAINERS_OF_THEIR_OWN)
def test_a_container_may_do_with_its_own_folders_what_it_likes(script: str) -> None:
    assert verdict(script) == "allow"


@pytest.mark.parametrize("script", EMPTIED)
def test_what_a_variable_that_may_be_empty_leaves_of_a_name_is_vital_too(script: str) -> None:
    assert verdict(script) == "deny"


@pytest.mark.parametrize("script", NOT_EMPTIED)
def test_a_variable_that_leaves_nothing_vital_disturbs_no_work(script: str) -> None:
    assert verdict(script) == "allow"


def test_the_workspace_itself_is_no_folder_above_it() -> None:
    assert verdict("rm -rf *") == "needs_approval"
    assert verdict("rm -rf ../other") == "needs_approval"
