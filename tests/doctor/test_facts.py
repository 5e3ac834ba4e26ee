"""What the doctor finds out, and in which words."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest
from huggingface_hub import constants

from segment.doctor import examine, formats, packages, places
from segment.doctor.fact import Fact, gigabytes, nameless
from segment.doctor.machine import cores, instructions, memory
from segment.doctor.request import DoctorRequest
from tests import ROOT


def test_neither_the_user_nor_the_home_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("LOGNAME", "ada")
    assert nameless("/home/ada/.cache/noseam, 3 MB") == "~/.cache/noseam, 3 MB"
    assert nameless("/home/ada: no space; /home/adam/x") == "~: no space; /home/adam/x"
    assert nameless("/data/ada/masks and /scratch/ada") == "/data/USER/masks and /scratch/USER"
    assert nameless("adaptive /data/adapter/x") == "adaptive /data/adapter/x"


def test_a_container_without_a_home_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")
    monkeypatch.setenv("LOGNAME", "ada")
    assert nameless("/cache/x") == "/cache/x"


@pytest.mark.parametrize(
    ("flags", "text", "state"),
    [
        ({"avx2", "avx512f", "avx512_bf16", "amx_tile"}, "AVX2, AVX-512, bf16, AMX", "ok"),
        ({"x86_v3", "sse2"}, "AVX2; no bf16, so the CPU computes in fp32", "ok"),
        ({"asimd", "neon", "bf16", "sve"}, "bf16, NEON, SVE", "ok"),
        ({"sse2"}, "none of those that make a network fast; no bf16, so the CPU computes in fp32", "look"),
    ],
)
def test_sets_of_instructions_go_by_any_of_their_names(flags: set[str], text: str, state: str) -> None:
    found = instructions(flags)
    assert (found.value, found.state) == (text, state)
    assert bool(found.advice) == (state == "look")


def test_cores_that_a_process_may_not_use_are_told() -> None:
    assert cores(8, 4, 8).value == "8 for noseam; 4 physical, 8 logical"
    assert "its affinity or its container's limit" in cores(2, None, 8).value


def test_memory_is_that_of_the_container_and_little_is_told() -> None:
    assert memory(64e9, 64e9, 50e9) == Fact("machine", "memory", "64 GB, 50 GB free")
    limited = memory(64e9, 1.5e9, 50e9)
    assert (limited.value, limited.state) == ("64 GB, 50 GB free; its container allows 1.5 GB", "look")
    assert gigabytes(3.4e7) == "34 MB"


def test_a_package_that_is_missing_or_too_old_is_bad_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "shapely":
            raise metadata.PackageNotFoundError
        return {"pillow": "9.0", "pyproj": "3.0"}.get(name) or metadata.version(name)

    monkeypatch.setattr(packages, "version", version)
    found = {fact.name: fact for fact in packages.facts()}
    assert (found["shapely"].state, found["shapely"].value) == ("bad", "is missing")
    assert found["shapely"].advice == 'pip install "shapely>=2.1"'
    assert (found["pillow"].state, found["pillow"].value) == ("bad", "is 9.0, >=12.3 expected")
    assert "numpy 2" in found["packages"].value
    assert "pillow" not in found["packages"].value
    assert (found["photo"].state, found["cluster"].state) == ("none", "ok")
    assert found["photo"].value == "placing photos needs this extra: pyproj is 3.0, >=3.6 expected"
    assert "'.[photo]'" in found["photo"].advice


def test_a_format_that_gdal_lacks_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {fact.state for fact in formats.facts()} == {"ok"}
    monkeypatch.setattr(formats, "RASTERS", ("GTiff", "Unheard"))
    (images,) = [fact for fact in formats.facts() if fact.name == "images"]
    assert (images.state, images.value) == ("bad", "GTiff; missing: Unheard")
    assert "rasterio" in images.advice


def test_a_table_of_coordinate_systems_that_is_not_found_is_bad() -> None:
    """In a process of its own, because PROJ looks for it once."""
    code = "from segment.doctor.formats import facts; print(next(f for f in facts() if f.name == 'PROJ'))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PROJ_DATA": "/nowhere"},
                           capture_output=True, text=True, check=True, timeout=60)  # fmt: skip
    assert "state='bad'" in ended.stdout
    assert "PROJ_DATA=/nowhere" in ended.stdout
    assert "unset PROJ_DATA PROJ_LIB" in ended.stdout


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NOSEAM_CACHE", str(tmp_path / "file"))
    (cache, *_) = places.facts()
    assert (cache.state, "cannot be written" in cache.value) == ("look", True)
    assert "NOSEAM_CACHE" in cache.advice


def test_a_cache_that_is_not_there_yet_is_fine_and_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOSEAM_CACHE", str(tmp_path / "a" / "b"))
    (cache, *_) = places.facts()
    assert (cache.state, list(tmp_path.iterdir())) == ("ok", [])


class _Answer(BaseHTTPRequestHandler):
    status = 200

    def do_HEAD(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Answer]]:
    """Let a server of this machine be the hub."""
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://me:secret@127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield _Answer
    server.shutdown()
    server.server_close()


def test_a_hub_that_answers_is_fine_and_its_password_is_not_told(hub: type[_Answer]) -> None:
    (found,) = places.hub()
    assert (found.state, "secret" in found.value) == ("ok", False)
    assert found.value.startswith("http://127.0.0.1:")


def test_a_hub_with_a_fault_is_told(hub: type[_Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "status", 503)
    (found,) = places.hub()
    assert (found.state, "status 503" in found.value) == ("look", True)


def test_a_hub_that_is_silent_is_given_up(hub: type[_Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "HUB_ANSWERS_S", 0.2)
    monkeypatch.setattr(hub, "do_HEAD", lambda self: threading.Event().wait(2))
    (found,) = places.hub()
    assert (found.state, "does not answer" in found.value) == ("look", True)


def test_nobody_is_asked_where_the_user_or_a_variable_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_status", lambda address: pytest.fail("it was asked"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    (unasked,) = places.hub(asked=False)
    assert (unasked.state, "--no-network" in unasked.value) == ("none", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (offline,) = places.hub()
    assert (offline.state, "HF_HUB_OFFLINE=1" in offline.value) == ("none", True)


def test_what_does_not_load_is_a_finding_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "PARTS", (("program", "nowhere"), ("program", "packages")))
    monkeypatch.setattr("segment.doctor.verdict.verdicts", lambda progress: 1 / 0)
    found = examine.examine(DoctorRequest(network=False))
    first, *_, last = found.facts
    assert (first.name, first.state) == ("nowhere", "bad")
    assert "ModuleNotFoundError" in first.value
    assert "ZeroDivisionError" in last.value
    assert len(found.facts) > 5
    assert not found.works
