"""The recipes of `docs/scale.md` run as they stand there, as far as one machine can; the image is README's."""

from __future__ import annotations

import configparser
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
import yaml
from PIL import Image

import commands.exits
from tests import ROOT
from tests.grids import squares
from tests.make import noise
from tests.models import checkpoint_folder
from tests.runs import contents, noseam

PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
NEEDS_SHELL = pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
TASKS = 3


def block(kind: str, place: int = 0) -> str:
    """Return a block of the page in a language."""
    return str(re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[place])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a survey, a model, and a program called noseam."""
    folder = tmp_path_factory.mktemp("data")
    checkpoint_folder(folder / "model", classes=3, tiling=squares(64, 64))
    (folder / "survey").mkdir()
    for index, height in enumerate((90, 60, 50, 40, 30)):
        Image.fromarray(noise(height, 50, 3, seed=index)).save(folder / "survey" / f"{index}.png")
    (folder / "bin").mkdir()
    (folder / "bin" / "noseam").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m cli "$@"\n')
    (folder / "bin" / "noseam").chmod(0o755)
    return folder


def check_masks(data: Path, out: str, model: str) -> None:
    """Check that all tasks ended well and share no work, and that all is what one run makes, with that model."""
    with chdir(data):
        found = json.loads(noseam("status", out, "--json").stdout)
        assert (found["complete"], found["shards"], found["done"], found["skipped"]) == (True, TASKS, 5, 0)
        one = f"{out}-in-one-run"
        for folder in (one, out):
            assert noseam("segment", "survey/", "--out", folder, "--model", model).exit_code == 0
        made = contents(Path(one))
        assert {name: contents(Path(out))[name] for name in made} == made


@NEEDS_SHELL
def test_the_script_for_slurm_runs_for_each_task(data: Path) -> None:
    script, size = block("sh"), 20
    (array,) = re.findall(r"^#SBATCH --array=(\d+)-(\d+)$", script, re.MULTILINE)
    assert array == ("1", str(size))
    for old, new in (("/data/flights", str(data)), ("/opt/noseam/.venv/bin", str(data / "bin"))):
        assert script.count(old) == 1
        script = script.replace(old, new)
    (data / "masks.sh").write_text(script)
    shutil.rmtree(data / "masks", ignore_errors=True)
    for task in range(1, TASKS + 1):
        numbers = {"ID": task, "MIN": 1, "MAX": TASKS, "COUNT": TASKS}
        variables = {f"SLURM_ARRAY_TASK_{name}": str(number) for name, number in numbers.items()}
        found = run(["sh", str(data / "masks.sh")], variables)
        assert found.returncode == 0, found.stderr
        assert f"shard {task}/{TASKS}, because SLURM_ARRAY_TASK_ID={task}, " in found.stderr
    check_masks(data, "masks", "model/")


def run(command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command from another folder, with few variables."""
    kept = {name: value for name, value in os.environ.items() if name in {"NOSEAM_CACHE", "HOME"}}
    return subprocess.run(command, cwd="/", env=kept | {"PATH": "/usr/bin:/bin"} | variables, text=True,
                          capture_output=True, timeout=120, check=False)  # fmt: skip


def test_the_job_of_kubernetes_is_one_that_kubernetes_takes() -> None:
    """What the API server checks of an Indexed Job with a policy; no server is at hand."""
    job = yaml.safe_load(block("yaml"))
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["backoffLimitPerIndex"] >= 1
    assert 0 < spec["maxFailedIndexes"] <= spec["completions"]
    assert spec["template"]["spec"]["restartPolicy"] == "Never", "a policy on failures needs it"
    ignore, fail = spec["podFailurePolicy"]["rules"]
    assert ignore == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    codes = fail["onExitCodes"]
    assert (fail["action"], codes["operator"]) == ("FailIndex", "In")
    assert codes["values"] == sorted(set(codes["values"])) == [2, commands.exits.FAILED, commands.exits.NOTHING_MATCHED]
    (container,) = spec["template"]["spec"]["containers"]
    assert codes["containerName"] == container["name"]
    assert "--max-runtime" not in container["args"], "then 5 would count as a failure"
    volumes = {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", *volumes_of_image()}


def test_the_container_of_kubernetes_runs_for_each_index(data: Path) -> None:
    job = yaml.safe_load(block("yaml"))["spec"]
    (container,) = job["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables == {"JOB_COMPLETIONS": str(job["completions"])}
    places = {"/data/masks": str(data / "pods"), "/data/": f"{data}/"}
    arguments = container["args"]
    for old, new in places.items():
        arguments = [word.replace(old, new) for word in arguments]
    for index in range(TASKS):
        variables |= {"JOB_COMPLETIONS": str(TASKS), "JOB_COMPLETION_INDEX": str(index)}
        found = run([str(data / "bin" / "noseam"), *arguments], variables)
        assert found.returncode == 0, found.stderr
        assert f"shard {index + 1}/{TASKS}, because JOB_COMPLETION_INDEX={index}, " in found.stderr
    check_masks(data, "pods", str(data / "model"))


def test_aws_batch_gets_the_command_of_kubernetes() -> None:
    (container,) = yaml.safe_load(block("yaml"))["spec"]["template"]["spec"]["containers"]
    assert f"`{' '.join(container['args'])}`" in PAGE


def test_the_timer_starts_the_script_that_cron_starts(tmp_path: Path) -> None:
    units = {"noseam.service": block("ini"), "noseam.timer": block("ini", 1)}
    found = {name: configparser.ConfigParser() for name in units}
    for name, text in units.items():
        found[name].optionxform = str  # type: ignore[method-assign,assignment]
        found[name].read_string(text)
    service = found["noseam.service"]["Service"]
    assert service["ExecStart"] in (ROOT / "docs" / "unattended.md").read_text(encoding="utf-8")
    assert service["SuccessExitStatus"] == str(commands.exits.STOPPED)
    assert int(service["TimeoutStopSec"]) > 10
    if shutil.which("systemd-analyze") is None:
        return
    for name, text in units.items():
        (tmp_path / name).write_text(text.replace(service["ExecStart"], "/bin/true"))
    checked = subprocess.run(["systemd-analyze", "verify", *(tmp_path / name for name in units)], text=True,
                             capture_output=True, check=False, timeout=60)  # fmt: skip
    ours = [line for line in checked.stderr.splitlines() if "noseam" in line]
    assert ours == []
    subprocess.run(["systemd-analyze", "calendar", found["noseam.timer"]["Timer"]["OnCalendar"]], check=True,
                   capture_output=True, timeout=60)  # fmt: skip


def instructions() -> Iterator[tuple[str, str]]:
    """Yield the instructions of the Dockerfile: a keyword, and what follows it, on one line."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        if line.strip():
            keyword, _, rest = line.partition(" ")
            yield keyword, rest


def volumes_of_image() -> list[str]:
    return [rest for keyword, rest in instructions() if keyword == "VOLUME"]


def copied() -> list[str]:
    return [source for keyword, rest in instructions() if keyword == "COPY" for source in rest.split()[:-1]]


def test_the_image_is_lean_pinned_and_runs_without_rights() -> None:
    found: dict[str, list[str]] = {}
    for keyword, rest in instructions():
        found.setdefault(keyword, []).append(rest)
    known = {"FROM", "RUN", "WORKDIR", "COPY", "ARG", "ENV", "VOLUME", "USER", "ENTRYPOINT", "CMD"}
    assert found.keys() <= known, "an instruction is misspelt"
    (base,) = found["FROM"]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base), "a tag that says the version, never latest"
    user, group = found["USER"][-1].split(":")
    assert (int(user), int(group)) > (0, 0), "a number, so that runAsNonRoot can check it"
    assert json.loads(found["ENTRYPOINT"][0]) == ["noseam"]
    assert json.loads(found["CMD"][0]) == ["--help"]
    environment = dict(pair.split("=", 1) for line in found["ENV"] for pair in line.split())
    assert {Path(environment[name]).parts[1] for name in ("NOSEAM_CACHE", "HF_HOME")} == {"cache"}
    assert volumes_of_image() == ["/cache"]
    assert all("rm -rf /var/lib/apt/lists/*" in rest for rest in found["RUN"] if "apt-get" in rest)


def test_the_image_installs_what_the_readme_installs() -> None:
    (install,) = [rest for keyword, rest in instructions() if keyword == "RUN" and "pip" in rest]
    assert f"`{install}`" in (ROOT / "README.md").read_text()
    order = [keyword for keyword, rest in instructions() if keyword in {"COPY", "ARG"} or rest == install]
    assert order[-2:] == ["ARG", "RUN"], "the choice of PyTorch stands right before the installation"
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    packages = {name.split(".")[0] for name in settings["options"]["packages"].split()}
    modules = {f"{name}.py" for name in settings["options"]["py_modules"].split()}
    named = {"constraints.txt", "pyproject.toml", "setup.cfg", "README.md", "LICENSE"}
    assert {source.rstrip("/") for source in copied()} == packages | modules | named
    assert all((ROOT / source).exists() for source in copied())


def test_what_the_image_copies_is_all_that_docker_is_sent() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied())
    assert any(fnmatch.fnmatch("tiler/grid/__pycache__/", line) for line in lines[1:] if not line.startswith("!"))


def test_every_option_and_variable_that_the_page_names_exists() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    of_others = {"--array", "--cpus-per-task", "--mem", "--time", "--requeue", "--job-name", "--gpus", "--parsable",
                 "--dependency", "--wrap", "--tag", "--rm", "--user", "--volume", "--build-arg", "--now", "--job-queue",
                 "--job-definition", "--array-properties", "--nworkers", "--nthreads", "--memory-limit"}  # fmt: skip
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - of_others
    assert [flag for flag in flags if f"`{flag}" not in reference] == []
    code = (ROOT / "segment" / "plan" / "array.py").read_text()
    named = set(re.findall(r"`((?:SLURM|JOB|AWS)_[A-Z_]+)`", PAGE))
    assert len(named) == 8
    assert [name for name in named if name not in code and not name.startswith("SLURM_ARRAY_TASK_")] == []
