"""What must hold of a cluster before its first task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from segment.engine.request import EngineOptions
from segment.errors import WorkersError
from segment.run.request import Resource
from segment.workers.pool import Pool

_OF_DASK = ("dask", "distributed", "msgpack", "cloudpickle", "tornado", "toolz")
_OF_LABELS = ("openvino", "torch")


def refuse_other_versions(pool: Pool, engine: EngineOptions) -> None:
    """Raise unless the workers have the versions of this process, of what both must have alike.

    That is noseam, Python but for its last number, dask, and what runs the network: OpenVINO, and PyTorch unless
    OpenVINO was asked for. The scheduler needs dask alone.

    Raises
    ------
    WorkersError
        If a version differs. The message names the worker, its host, and both versions.
    """
    found = pool.client.get_versions(packages=["noseam", *_OF_LABELS])
    here = _versions(found["client"])
    wanted = {"python", *_OF_DASK}
    _refuse("the scheduler", _versions(found["scheduler"]), here, wanted)
    wanted |= {"noseam", *_deciding(engine)}
    for address, versions in found["workers"].items():
        name = pool.workers.get(address, {}).get("name", address)
        _refuse(f"worker {name} at {address}", _versions(versions), here, wanted)


def refuse_unknown_resource(pool: Pool, resource: Resource | None) -> None:
    """Raise unless some worker has as much of a resource as every task takes; dask would wait for ever.

    Raises
    ------
    WorkersError
        If none has. The message says what they have.
    """
    if resource is None:
        return
    found = [worker.get("resources", {}) for worker in pool.workers.values()]
    if any(each.get(resource.name, 0) >= resource.amount for each in found):
        return
    most = {name: max(each.get(name, 0) for each in found) for each in found for name in each}
    have = ", ".join(f"{name}={amount:g}" for name, amount in sorted(most.items())) or "nothing"
    raise WorkersError(
        f"--resources {resource}: no worker has so much; they have {have}; "
        f'`dask worker ADDRESS --resources "{resource}"` starts one that has'
    )


def _deciding(engine: EngineOptions) -> Iterator[str]:
    """Yield the packages whose versions decide labels."""
    if engine.engine != "torch":
        yield "openvino"
    if engine.engine == "torch" or engine.device.startswith("cuda"):
        yield "torch"


def _versions(found: Mapping[str, Any] | None) -> dict[str, str | None]:
    """Return the versions of packages; of Python only as far as it decides what it can read."""
    packages = dict((found or {}).get("packages", {}))
    return packages | {"python": ".".join(str(packages.get("python")).split(".")[:2])}


def _refuse(who: str, found: Mapping[str, str | None], here: Mapping[str, str | None], wanted: set[str]) -> None:
    for package in sorted(wanted):
        if found.get(package) != here.get(package):
            raise WorkersError(
                f"{who} has {package} {found.get(package) or 'not installed'}, this machine has "
                f"{here.get(package) or 'none'}; install the same on both"
            )
