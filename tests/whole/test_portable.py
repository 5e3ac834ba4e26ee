"""Without what only Linux has, every module imports, and images become masks, scores and polygons."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from tests import ROOT
from tests.make import noise

WITHOUT_LINUX = """
import configparser, importlib, json, pkgutil, sys, types

MODULES = ["_posixsubprocess", "crypt", "curses", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource",
           "spwd", "syslog", "termios", "tty"]
NAMES = {
    "os": '''
        O_ACCMODE O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_LARGEFILE O_NDELAY O_NOATIME O_NOCTTY O_NOFOLLOW
        O_NONBLOCK O_PATH O_RSYNC O_SYNC O_TMPFILE F_LOCK F_TLOCK F_ULOCK P_ALL P_PID WNOHANG WCONTINUED SCHED_OTHER
        WEXITSTATUS WIFEXITED WIFSIGNALED WTERMSIG EX_TEMPFAIL EX_USAGE
        chown chroot confstr confstr_names copy_file_range ctermid eventfd fchdir fchown fdatasync
        fork forkpty fpathconf fstatvfs getegid geteuid getgid getgrouplist getgroups getloadavg
        getpgid getpgrp getpriority getrandom getresgid getresuid getsid getuid getxattr initgroups killpg lchown
        listxattr lockf login_tty major makedev memfd_create minor mkfifo mknod nice openpty pathconf pathconf_names
        pidfd_open pipe2 posix_fadvise posix_fallocate posix_spawn posix_spawnp pread preadv pwrite pwritev readv
        register_at_fork removexattr sched_get_priority_max sched_getaffinity sched_getparam sched_getscheduler
        sched_setaffinity sched_setscheduler sched_yield sendfile setegid seteuid setgid setgroups setpgid setpriority
        setregid setresgid setresuid setreuid setsid setuid setxattr splice statvfs sync sysconf sysconf_names tcgetpgrp
        tcsetpgrp ttyname uname unshare wait wait3 wait4 waitid writev''',
    "signal": '''
        SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPROF SIGQUIT SIGSTOP SIGSYS SIGTRAP SIGTSTP
        SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ SIG_BLOCK SIG_SETMASK SIG_UNBLOCK
        alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait
        sigwaitinfo''',
    "select": "epoll poll",
    "socket": "AF_UNIX AF_NETLINK CMSG_LEN",
    "time": "clock_getres clock_gettime clock_gettime_ns clock_settime pthread_getcpuclockid tzset",
}

def ours():
    setup = configparser.ConfigParser()
    setup.read("setup.cfg")
    packages, modules = (setup["options"][key].split() for key in ("packages", "py_modules"))
    found = {*modules, *packages} | {
        f"{package}.{module.name}" for package in packages
        for module in pkgutil.iter_modules([package.replace(".", "/")])
    }
    return sorted(found - {"segment.engine.device_kernels"})  # Triton is of Linux alone

def copy_without(name):
    whole = importlib.import_module(name)
    copy = types.ModuleType(name)
    vars(copy).update({key: value for key, value in vars(whole).items() if key not in NAMES[name].split()})
    return copy

names = ours()
for name in names:  # other packages take here what they need of Linux
    importlib.import_module(name)
for name in names:
    del sys.modules[name]
sys.modules.update(dict.fromkeys(MODULES) | {name: copy_without(name) for name in NAMES})
"""

TRY_ALL = """
def attempt(call):
    try:
        return call() and None
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def look(name):
    import os, signal
    exec(name, {"os": os, "signal": signal})

def run(line):
    import cli
    assert cli.main(line, standalone_mode=False) in (0, None)

gone = "import fcntl", "os.sysconf", "os.O_DIRECTORY", "signal.SIGKILL"
told = {
    "gone": {name: attempt(lambda: look(name)) for name in gone},
    "imports": {name: attempt(lambda: importlib.import_module(name)) for name in names},
    "commands": {line[0]: attempt(lambda: run(line)) for line in json.loads(sys.argv[1])},
}
print(json.dumps(told))
"""
Told = Mapping[str, Mapping[str, str | None]]
"""The error of each thing that was tried, by kind and name; None where there was none."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("portable")


@pytest.fixture(scope="module")
def told(folder: Path) -> Told:
    Image.fromarray(noise(70, 90, 3)).save(folder / "a.png")
    masks, label = str(folder / "masks"), str(folder / "masks" / "a_label.png")
    commands = [
        ["segment", str(folder / "a.png"), "--out", masks, "--model", "demo", "--confidence", "--polygons"],
        ["evaluate", label, label, "--out", str(folder / "scores")],
        ["polygons", label, "--out", str(folder / "a.parquet")],
    ]
    code = [sys.executable, "-c", WITHOUT_LINUX + TRY_ALL, json.dumps(commands)]
    done = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: Told = json.loads(done.stdout.splitlines()[-1])
    return found


def test_what_only_linux_has_is_gone(told: Told) -> None:
    errors = [str(error).split(":")[0] for error in told["gone"].values()]
    assert errors == ["ModuleNotFoundError", "AttributeError", "AttributeError", "AttributeError"]


def test_every_module_is_imported_without_it(told: Told) -> None:
    assert len(told["imports"]) > 100
    assert {name: error for name, error in told["imports"].items() if error} == {}


def test_images_become_masks_scores_and_polygons_without_it(told: Told, folder: Path) -> None:
    assert told["commands"] == {"segment": None, "evaluate": None, "polygons": None}
    written = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"a_label.png", "a_confidence.png", "a_polygons.gpkg", "a.parquet"} < written
