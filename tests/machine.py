"""A machine of one's own: the real systemd, booted as pid 1 of a container on this host's files.

An overlay takes what is written there, and goes with it. A driver, a Python file of the tests, runs inside as root
and leaves its answer as JSON.
"""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from conftest import require, require_program

CHECKOUT = Path(__file__).resolve().parent.parent
PATIENCE_S = 110
PLACE = "/opt/orchestrator"

_SETUP = r"""
set -eu
mount --make-rprivate /
# The host's /proc stays among the container's mounts, hidden, but as long as nothing is laid over it the kernel takes
# it as leave to mount new ones: a sandbox would work in here that does not on a real machine.
mount --bind /proc/sys /proc/sys
mount -t tmpfs tmpfs "$STAGE"
mkdir "$STAGE/up" "$STAGE/work" "$STAGE/root"
root=$STAGE/root
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$STAGE/up,workdir=$STAGE/work" "$root"
mkdir -p "$root$PLACE/code" "$root$PLACE/packages" "$root/lab" "$root/home/orch" "$root$BASE" "$root/etc/systemd/system"
"$PYTHON" -m venv --without-pip --symlinks "$root$PLACE/venv"
cp -L "$(dirname "$PYTHON")/shfmt" "$root$PLACE/venv/bin/shfmt"
printf '%s\n' "$PLACE/code" "$PLACE/packages" > "$root$PLACE/venv/lib/$VERSION/site-packages/house.pth"
folder=$BASE
while [ "$folder" != / ]; do folder=$(dirname "$folder"); chmod a+x "$root$folder"; done
echo 'orch:x:4242:4242::/home/orch:/bin/bash' >> "$root/etc/passwd"
echo 'orch:x:4242:' >> "$root/etc/group"
chown 4242:4242 "$root/home/orch"
cp "$DRIVER" "$root/lab/driver.py"
cat > "$root/etc/systemd/system/lab.target" <<'UNIT'
[Unit]
Requires=basic.target
After=basic.target
UNIT
cat > "$root/etc/systemd/system/lab.service" <<UNIT
[Unit]
DefaultDependencies=no
After=lab.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
TimeoutStartSec=infinity
# What nspawn lays over /proc, a real machine has not.
ExecStartPre=-/bin/umount /proc/kmsg /proc/sys/kernel/random/boot_id
ExecStart=$PLACE/venv/bin/python /lab/driver.py $PART
StandardOutput=file:/lab/log
StandardError=inherit
UNIT
mkdir "$root/etc/systemd/system/lab.target.wants"
ln -s ../lab.service "$root/etc/systemd/system/lab.target.wants/"
systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --console=pipe --private-network \
    --capability=all --system-call-filter="@mount landlock_create_ruleset landlock_add_rule landlock_restrict_self" \
    --bind-ro="$CODE:$PLACE/code" --bind-ro="$PACKAGES:$PLACE/packages" --bind-ro="$BASE" \
    --boot systemd.unit=lab.target > "$STAGE/console" 2>&1 </dev/null || true
cat "$STAGE/up/lab/answer.json" || { cat "$STAGE/console" "$STAGE/up/lab/log" >&2; exit 1; }
"""


def boot(stage, driver, part, lower="/"):
    """Boot, run a part of the driver to its end, and return its answer. `lower` is the root of the machine's files."""
    require(os.geteuid() == 0, "only root can boot a container")
    require_program("systemd-nspawn")
    stage.mkdir()
    environment = {
        "STAGE": str(stage), "LOWER": str(lower), "PLACE": PLACE, "PYTHON": sys.executable, "DRIVER": str(driver),
        "PART": part,
        "BASE": sys.base_prefix, "CODE": str(CHECKOUT), "PACKAGES": sysconfig.get_path("purelib"),
        "VERSION": f"python{sys.version_info.major}.{sys.version_info.minor}", "PATH": os.environ["PATH"],
        # The container is a machine, and a machine may change its own kernel's switches.
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
    }  # fmt: skip
    booted = subprocess.run(
        ["timeout", "-s", "KILL", str(PATIENCE_S), "unshare", "--mount", "bash", "-c", _SETUP],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert booted.returncode == 0, booted.stderr[-8000:]
    return json.loads(booted.stdout)
