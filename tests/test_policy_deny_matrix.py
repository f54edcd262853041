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
gsutil -m rsync -r -d gs://empty PLACE
azcopy sync https://b.example/empty PLACE --delete-destination=true
rename 's/^/x/' PLACE/*
systemd-run --property=ExecStartPre='/bin/rm -rf PLACE' true
script -q /dev/null rm -rf PLACE
start-stop-daemon --start --exec /bin/rm -- -rf PLACE
make -f <(printf 'a:\n\trm -rf PLACE\n')
tar xf x.tar --recursive-unlink -C PLACE
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

# Whoever unpacks over these replaces what stands there; into a home, a person may let him.
SYSTEM_FOLDERS = ("/", "/etc", "/usr", "/usr/lib", "/var/lib", "/home")

WAYS_TO_UNPACK = lines(r"""
tar xf x.tar -C PLACE
curl -s https://x.example/a.tgz | tar xz -C PLACE
cd PLACE && unzip -o x.zip
cd PLACE && cpio -idmu < x.cpio
7z x -y x.7z -oPLACE
dpkg-deb -x x.deb PLACE
cp -a ./rootfs/. PLACE/
rsync -a ./rootfs/ PLACE/
mount --bind ./x PLACE
install -d -m 000 PLACE
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

DISKS = ("/dev/sda", "/dev/nvme0n1p2", "/dev/mapper/vg-root", "/dev/vg0/root", "/dev/sd?", "$(blkid -L root)",
         "$(findmnt -no SOURCE /)", '"$(lsblk -dpno NAME | head -1)"')  # fmt: skip

WAYS_TO_WRITE_A_DISK = lines(r"""
dd if=/dev/zero of=PLACE
cat x.img > PLACE
xz -dc x.img.xz | sudo tee PLACE
cp x.img PLACE
curl -so PLACE https://x.example/a.img
mkfs.ext4 -F PLACE
wipefs -a PLACE
blkdiscard PLACE
sgdisk -og PLACE
printf 'o\nw\n' | fdisk PLACE
parted -s PLACE mklabel gpt
cryptsetup luksHeaderRestore PLACE --header-backup-file x
hdparm --security-set-pass p PLACE
badblocks -wsv PLACE
xfs_io -c 'pwrite 0 1m' PLACE
qemu-img convert -O raw x.qcow2 PLACE
echo PLACE | xargs wipefs -a
d=PLACE; cat x > "$d"
""")

ACCOUNTS = ("/etc/passwd", "/etc/shadow", "/etc/sudoers", "/etc/sudoers.d/x")

WAYS_TO_EMPTY_A_FILE = lines(r"""
: > PLACE
truncate -s 0 PLACE
cp /dev/null PLACE
sed -i d PLACE
f=PLACE; rm -f "${f%?}"?
rm -f PLACE
shred -u PLACE
xargs rm < <(echo PLACE)
git diff --output=PLACE
sftp h:x PLACE
docker run -v /:/h alpine sh -c ': > /hPLACE'
find /etc -path PLACE -exec truncate -s 0 {} +
""")

ENDS = lines(r"""
systemctl poweroff
ln -s /bin/systemctl reboot; ./reboot
exec -a poweroff systemctl
openrc-shutdown -r now
launchctl reboot
systemctl stop '*'
pkill -u 0
kill -9 $(pgrep -U 0)
pgrep -v node | xargs kill -9
f(){ f & }; while :; do f; done
while true; do (sleep 99999 &) ; done
while true; do coproc sleep 999; done
yes | parallel -j0 sleep 999
for i in {1..1000000}; do sleep 9999 & done
echo 'bash x.sh & bash x.sh' > x.sh; bash x.sh
fish -c 'function f; f | f &; end; f'
""")

STARTS_AND_ENDS_SOMETHING = lines(r"""
for i in {1..20}; do curl -s localhost:8080 & done; wait
for i in $(seq 1 100000); do echo "$i"; done > numbers.txt
seq 100000 | xargs -P8 -n1 ./x
systemctl list-units --all
kill $(pgrep -f server)
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


@pytest.mark.parametrize("way", WAYS_TO_UNPACK)
def test_nothing_is_laid_over_the_system(way: str) -> None:
    assert [place for place in SYSTEM_FOLDERS if verdict(way.replace("PLACE", place)) != "deny"] == []


@pytest.mark.parametrize("script", ["tar -C /usr/local -xzf go.tar.gz", "tar xf x.tar -C ~", "unzip x.zip -d /opt/x"])
def test_what_is_unpacked_where_a_person_keeps_programs_may_be_approved(script: str) -> None:
    assert verdict(script) == "needs_approval"


@pytest.mark.parametrize("way", WAYS_THROUGH_CONTAINERS)
def test_no_container_leads_to_a_vital_place(way: str) -> None:
    places = [place for place in PLACES if "?" not in place]
    assert [place for place in places if verdict(way.replace("PLACE", place)) != "deny"] == []


@pytest.mark.parametrize("script", IN_CONTAINERS_OF_THEIR_OWN)
def test_a_container_may_do_with_its_own_folders_what_it_likes(script: str) -> None:
    assert verdict(script) == "allow"


@pytest.mark.parametrize("way", WAYS_TO_WRITE_A_DISK)
def test_no_way_leads_to_a_disk(way: str) -> None:
    assert [place for place in DISKS if verdict(way.replace("PLACE", place)) != "deny"] == []


@pytest.mark.parametrize("way", WAYS_TO_EMPTY_A_FILE)
def test_no_way_leads_to_the_accounts(way: str) -> None:
    assert [place for place in ACCOUNTS if verdict(way.replace("PLACE", place)) != "deny"] == []


@pytest.mark.parametrize("script", ENDS)
def test_nothing_ends_the_machine_or_all_that_runs(script: str) -> None:
    assert verdict(script) == "deny"


@pytest.mark.parametrize("script", STARTS_AND_ENDS_SOMETHING)
def test_what_starts_or_ends_a_few_processes_is_everyday(script: str) -> None:
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
