"""Runs a server as an account that is not root.

PostgreSQL refuses to run as root, and root's own folders are often closed to everyone else. An
account that cannot walk to a folder can still use it through a descriptor that root opened:
`/proc/self/fd/N` leads straight to the folder. So the data stays where it was asked for, and the
mode of nobody's folder is changed.
"""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "tokenledger"
PROGRAMS_CACHE = Path("/var/cache/tokenledger")
PR_SET_PDEATHSIG = 1

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the servers run as."""

    name: str
    uid: int
    gid: int


def choose_account(*, data_folder: Path) -> Account | None:
    """None: as ourselves. As root: the owner of the data, `tokenledger` (made if need be), or `nobody`."""
    if os.geteuid() != 0:
        return None
    if data_folder.exists() and data_folder.stat().st_uid != 0:
        owner = data_folder.stat()
        return Account(str(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in (ACCOUNT, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            if name != ACCOUNT or not _add_account():
                continue
            entry = pwd.getpwnam(name)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    return None


def _add_account() -> bool:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return False
    command = [
        useradd,
        "--system",
        "--user-group",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        ACCOUNT,
    ]
    return subprocess.run(command, capture_output=True).returncode == 0


def make_folder(folder: Path, *, account: Account | None) -> None:
    """Make `folder`, private to the account that will use it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is not None:
        os.chown(folder, account.uid, account.gid)
        folder.chmod(0o700)


@contextmanager
def reach_folder(folder: Path, *, account: Account | None) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A name by which `account` reaches `folder`, and the descriptors that its process must inherit."""
    if can_enter(folder, account=account):
        yield str(folder), ()
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}", (handle,)
    finally:
        os.close(handle)


def can_enter(folder: Path, *, account: Account | None) -> bool:
    """Whether `account` can walk to `folder`, asked of the system and not worked out from modes."""
    if account is None:
        return True
    command = ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]
    return run_as(account, command, capture_output=True).returncode == 0


def find_runnable(
    packages: Path, *, program: str, copied: Sequence[str], version: str, account: Account | None
) -> Path:
    """The folder from which `account` can run `program`: `packages` itself, or a readable copy of a part of it.

    program: a path inside `packages`, answers --version. copied: the folders that the program needs, inside
    `packages` too, for programs find their libraries by the way from one to the other. version: names the copy,
    which is made once.
    """
    if account is None or _can_run(packages / program, account=account):
        return packages
    cache = PROGRAMS_CACHE / version
    if not cache.exists():
        _copy_readable(packages, copied, to=cache)
    return cache


def _can_run(program: Path, *, account: Account) -> bool:
    try:
        return run_as(account, [str(program), "--version"], capture_output=True).returncode == 0
    except PermissionError:
        return False


def _copy_readable(packages: Path, folders: Sequence[str], *, to: Path) -> None:
    """Copy folders of `packages` under `to`, for everyone to read, whole or not at all."""
    draft = to.with_name(f"{to.name}.{os.getpid()}.new")
    for folder in folders:
        shutil.copytree(packages / folder, draft / folder)
    for path in (to.parent, draft, *draft.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    for program in draft.rglob("bin/*"):
        program.chmod(0o755)
    try:
        draft.rename(to)
    except OSError:
        # Another start made the same copy first.
        shutil.rmtree(draft)


def run_as(account: Account | None, command: Sequence[str], **options) -> subprocess.CompletedProcess:
    """`subprocess.run` as `account`."""
    return subprocess.run(command, cwd="/", **_identity(account), **options)


def start_as(account: Account | None, command: Sequence[str], *, last_signal: int, **options) -> subprocess.Popen:
    """`subprocess.Popen` as `account`, outside the terminal's process group.

    Ctrl-C must reach the supervisor alone, who stops its children in order; and when the supervisor is
    killed outright, the kernel (Linux only) sends `last_signal`, so that nothing is left behind.
    """
    options = {"cwd": "/", "stdin": subprocess.DEVNULL, **_identity(account), **options}
    return subprocess.Popen(command, start_new_session=True, preexec_fn=_follow_parent(last_signal), **options)


def _follow_parent(last_signal: int):
    # The kernel watches the thread that forked, not the process: only the main thread lives as long.
    if LIBC is None or threading.current_thread() is not threading.main_thread():
        return None
    parent = os.getpid()

    def follow() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, last_signal)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return follow


def _identity(account: Account | None) -> dict:
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}
