"""Fuzz the parsers that noseam has of its own, guided by coverage, with Atheris (`pip install atheris`).

    python benchmarks/fuzz.py all --seconds 300      every target in turn, then a table
    python benchmarks/fuzz.py photo [libFuzzer's own arguments]

An input on which a parser raises anything but the errors that it documents is kept in `CORPUS/crash-...`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

Target = Callable[[bytes], None]
ROOT = Path(__file__).resolve().parent.parent
INSTRUMENTED = ["tiler", "segment", "commands", "cli", "tomllib", "json", "csv", "PIL", "xml", "click"]


@contextmanager
def file_of(content: bytes, name: str) -> Iterator[Path]:
    """Yield a file with that content, alone in its folder."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        yield path


def fuzz_png(content: bytes) -> None:
    from tiler.masks.png import read_text

    with file_of(b"\x89PNG\r\n\x1a\n" + content, "a.png") as path, suppress(OSError, ValueError):
        read_text(path)


def fuzz_classes(content: bytes) -> None:
    from tiler.classes import read_class_table
    from tiler.errors import ClassTableError

    with file_of(content, "classes.csv") as path, suppress(ClassTableError):
        read_class_table(path)


def fuzz_settings(content: bytes) -> None:
    """Read a settings file, and convert every option that it sets."""
    import click

    from cli import main

    with file_of(content, "noseam.toml") as path, suppress(click.ClickException, click.exceptions.Exit):
        context = main.make_context("noseam", ["--config", str(path), "segment"])
        for name in context.default_map or ():
            with suppress(click.UsageError, click.exceptions.Exit):
                command = main.get_command(context, name)
                assert command is not None
                command.make_context(name, ["a.tif"], parent=context)


def fuzz_checkpoint(content: bytes) -> None:
    from segment.errors import CheckpointError
    from segment.model.checkpoint import describe_checkpoint

    config, _, processing = content.partition(b"\xff")
    with file_of(config, "config.json") as path, suppress(CheckpointError):
        if processing:
            (path.parent / "preprocessor_config.json").write_bytes(processing)
        describe_checkpoint(str(path.parent))


def fuzz_exif(content: bytes) -> None:
    from tiler.errors import PoseError, RasterReadError
    from tiler.photo.tags import read_tags

    with file_of(b"II*\0" + content, "a.tif") as path, suppress(PoseError, RasterReadError):
        read_tags(path)


def fuzz_photo(content: bytes) -> None:
    from tiler.errors import PoseError, RasterReadError
    from tiler.photo.tags import read_tags

    with file_of(b"\xff\xd8\xff" + content, "a.jpg") as path, suppress(PoseError, RasterReadError):
        read_tags(path)


def fuzz_xmp(content: bytes) -> None:
    """Read XMP alone, because no mutation of a photo finds its way through XML."""
    from tiler.photo.tags import _drone

    with suppress(ValueError, SyntaxError, LookupError):  # `read_tags` turns any exception into `trouble`
        _drone(content)


def fuzz_world(content: bytes) -> None:
    """Read a world file and, after a zero byte, its `.prj`; nothing may be raised at all."""
    from tiler.source.world import read_world

    world, _, prj = content.partition(b"\0")
    with file_of(world, "a.jgw") as path:
        if prj:
            path.with_suffix(".prj").write_bytes(prj)
        read_world(path.with_suffix(".jpg"))


def fuzz_tags(content: bytes) -> None:
    """Read tags of masks, one to a line, as key=value."""
    from tiler.errors import GridError
    from tiler.grid.seams import read_grid
    from tiler.masks.coverage import read_coverage

    tags: Mapping[str, str] = dict(
        line.split("=", 1) for line in content.decode("utf-8", "replace").split("\n") if "=" in line
    )
    read_coverage(tags)
    with suppress(GridError):
        read_grid(tags, (40, 60))


TARGETS: dict[str, Target] = {
    name.removeprefix("fuzz_"): target for name, target in globals().items() if name.startswith("fuzz_")
}


def seeds() -> dict[str, list[bytes]]:
    """Return what each target starts from: small files as they should be."""
    from segment.model.checkpoint import BUNDLED_MODELS, DEMO_MODEL
    from tests.photos import POSE, attributes, elements, write_photo, xmp_of
    from tiler.classes import DRONE_CLASSES, write_class_table
    from tiler.grid.seams import grid_tags
    from tiler.grid.tiles import plan_grid
    from tiler.masks.coverage import Coverage
    from tiler.masks.png import png_end, png_head

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_class_table(folder / "a.csv", DRONE_CLASSES)
        photos = [write_photo(folder / f"a.{suffix}").read_bytes() for suffix in ("jpg", "tif")]
        classes = (folder / "a.csv").read_bytes()
    demo = BUNDLED_MODELS[DEMO_MODEL]
    config, processing = ((demo / f"{file}.json").read_bytes() for file in ("config", "preprocessor_config"))
    grid = plan_grid((40, 60), scale=1, tile=(64, 64), overlap=(16, 16))
    tags = grid_tags(grid) | Coverage((9, 1), 0, (1.5, 2.0)).tags()
    prj = b'GEOGCS["a",DATUM["b",SPHEROID["c",6378137,298.257]],PRIMEM["d",0],UNIT["e",0.0174]]'
    return {
        "png": [png_head(height=9, width=9, text={"a": "b", "c": "\u00e4"})[8:] + png_end({"d": "e"})],
        "classes": [b"name,r,g,b\nroad,1,2,3\n", classes],
        "settings": [
            b'[segment]\nout = "a"\nmodel = "demo"\noverlap = 0.25\nvalue-range = [0, 9]\n',
            b'[crop]\nwindow = 500\n[train]\nbase = "nano"\n[polygons]\nonly = ["road"]\nmin_area = 2\n',
        ],
        "checkpoint": [config + b"\xff" + processing, b'{"model_type": "segformer", "id2label": {"0": "a"}}'],
        "exif": [photos[1][4:]],
        "photo": [photos[0][3:]],
        "xmp": [xmp_of(attributes(POSE)), xmp_of(elements(POSE))],
        "world": [b"0.5\n0\n0\n-0.5\n1.25\n9e2\n", b"1\n0\n0\n-1\n0\n0\0" + prj],
        "tags": ["\n".join(f"{key}={value}" for key, value in tags.items()).encode()],
    }


def fuzz_one(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process, until libFuzzer ends it."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=INSTRUMENTED):
        for module in ("cli", "segment.model.checkpoint", "tiler.photo.tags", "tiler.source.world", "tiler.grid.seams",
                       "tiler.masks.png", "tiler.masks.coverage", "defusedxml.ElementTree"):  # fmt: skip
            importlib.import_module(module)
    atheris.Setup([f"fuzz {name}", *arguments], TARGETS[name])
    atheris.Fuzz()


def fuzz_all(corpus: Path, seconds: int) -> None:
    """Fuzz every target in a process of its own, one after the other, and print what came of it."""
    print("target      executions     /s  coverage  corpus  findings", flush=True)
    for name, contents in seeds().items():
        folder = corpus / name
        folder.mkdir(parents=True, exist_ok=True)
        for index, content in enumerate(contents):
            (folder / f"seed{index}").write_bytes(content)
        options = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=16384",
                   f"-artifact_prefix={corpus}/{name}-", "-print_final_stats=1"]  # fmt: skip
        log = corpus / f"{name}.log"
        command = [sys.executable, __file__, name, str(folder), *options]
        with log.open("w") as file:
            subprocess.run(command, stdout=file, stderr=file, check=False)
        print(_summary(name, log.read_text(errors="replace"), corpus), flush=True)


def _summary(name: str, log: str, corpus: Path) -> str:
    covered = re.findall(r"cov: (\d+)", log) or ["0"]
    runs = re.findall(r"stat::number_of_executed_units: (\d+)", log) or re.findall(r"^#(\d+)", log, re.MULTILINE)[-1:]
    speed = re.findall(r"stat::average_exec_per_sec: *(\d+)", log) or ["?"]
    found = [path.name for path in corpus.glob(f"{name}-*")]
    count = len(list((corpus / name).iterdir()))
    growth = f"{covered[0]}-{covered[-1]}"
    return f"{name:10} {(runs or ['0'])[0]:>11} {speed[0]:>6} {growth:>9} {count:>7}  {' '.join(found) or 'none'}"


def main() -> None:
    sys.path.insert(0, str(ROOT))
    os.chdir(tempfile.gettempdir())  # so that no noseam.toml of the checkout is read
    if sys.argv[1:2] and sys.argv[1] in TARGETS:
        return fuzz_one(sys.argv[1], sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=["all", *TARGETS], help="what to fuzz")
    parser.add_argument("--seconds", type=int, default=300, help="of each target")
    parser.add_argument("--corpus", type=Path, default=Path(tempfile.gettempdir(), "noseam-fuzz"))
    options = parser.parse_args()
    return fuzz_all(options.corpus.absolute(), options.seconds)


if __name__ == "__main__":
    main()
