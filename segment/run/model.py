"""A model as the masks tell of it, and a model on its device."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from segment.engine.choose import open_engine
from segment.engine.contract import Engine
from segment.engine.request import EngineOptions
from segment.model.checkpoint import BUNDLED_MODELS, Description, fit_classes, weights_digest
from segment.plan.recipe import Recipe, recipe_for
from segment.plan.request import Request
from segment.plan.survey import ImagePlan
from segment.run.cores import Threads, share_cores
from tiler.balance import OFF, Balance
from tiler.classes import ClassTable
from tiler.extra import version_of
from tiler.grid.seams import grid_tags
from tiler.masks.provenance import BALANCE_KEY, DIGEST_KEY, ENGINE_KEY, MODEL_KEY, SOURCE_KEY

_DEFAULTS = EngineOptions()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What masks say of a model, wherever it is open."""

    name: str
    """The folder or hub id that the user gave."""
    digest: str
    """Digest of its weights; it goes into every mask."""
    classes: ClassTable
    """Names and colours of its classes."""
    engine: str
    """Engine, device and precision."""
    temperature: float = 1.0
    """What logits are divided by before they say how sure a label is."""
    balance: Balance = OFF
    """What is added to its logits."""

    def recipe(self, image: ImagePlan, request: Request) -> Recipe:
        """Return what the masks of an image are made from."""
        return recipe_for(
            image, request, model_digest=self.digest, classes=self.classes, engine=self.engine,
            temperature=self.temperature, balance=self.balance,
        )  # fmt: skip

    def tags(self, image: ImagePlan) -> dict[str, str]:
        """Return what the masks of an image say about what made them."""
        return {
            "SOFTWARE": f"noseam {version_of('noseam')}",
            SOURCE_KEY: image.source_text,
            MODEL_KEY: self.name,
            DIGEST_KEY: self.digest,
            "CLASS_NAMES": json.dumps(self.classes.names),
            ENGINE_KEY: self.engine,
            **({BALANCE_KEY: f"{self.balance.strength:g}"} if self.balance.offsets else {}),
            **grid_tags(image.grid),
        }


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model on its device; whoever opened it closes its engine."""

    name: str
    """The folder or hub id that the user gave."""
    digest: str
    """Digest of its weights."""
    classes: ClassTable
    """Names and colours of its classes."""
    engine: Engine
    """The network on its device."""
    threads: Threads
    """How the cores are shared."""
    temperature: float = 1.0
    """What logits are divided by before they say how sure a label is; the engine knows it too."""
    balance: Balance = OFF
    """What the engine adds to its logits."""

    @property
    def known(self) -> KnownModel:
        """What masks say of it."""
        return KnownModel(self.name, self.digest, self.classes, self.engine.name, self.temperature, self.balance)


def identify(description: Description, class_table: Path | None) -> tuple[ClassTable, str]:
    """Return the classes of a checkpoint and the digest of its weights; say what it learned if it is a bundled one.

    It raises what `open_model` raises, but for what is wrong with a device.
    """
    if description.name in BUNDLED_MODELS:
        _log.warning("model %s learned made-up scenes alone, so look at its masks before you trust them; it has %s",
                     description.name, description.measured)  # fmt: skip
    return fit_classes(description, class_table), weights_digest(description)


def open_model(
    description: Description, class_table: Path | None = None, options: EngineOptions = _DEFAULTS
) -> OpenModel:
    """Load a checkpoint and put it on a device.

    Parameters
    ----------
    description : Description
        The checkpoint, see `describe_checkpoint`.
    class_table : Path or None
        CSV with other names and colours for its classes.
    options : EngineOptions
        What runs the network, where, and how. Threads that are None are all cores that this process may use.

    Raises
    ------
    CheckpointError, ClassTableError, DeviceError, EngineError
        If the weights, the table, the device or the engine cannot be used.
    """
    classes, digest = identify(description, class_table)
    shared = share_cores(options.threads)
    engine = open_engine(description, digest, options, threads=shared.cores)
    _log.info("model %s, %d classes%s, %s, %d threads", description.name, len(classes), description.balance,
              engine.name, shared.cores)  # fmt: skip
    return OpenModel(description.name, digest, classes, engine, shared, description.temperature, description.balance)
