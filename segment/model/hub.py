"""Fetch a checkpoint from the Hugging Face hub, or find it in the cache."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from segment.errors import CheckpointError, ModelNameError

_TEXTS = ["config.json", "preprocessor_config.json", "README.md"]
_SAFE_WEIGHTS = ["model*.safetensors", "model.safetensors.index.json"]
_PICKLED_WEIGHTS = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]
_HUB_ANSWERS_S = 10
_log = logging.getLogger(__name__)


def fetch_checkpoint(model: str) -> Path:
    """Return the folder of a checkpoint that the hub has, fetched unless it is cached.

    Raises
    ------
    ModelNameError
        If the hub has no such model, or gives it to nobody unknown.
    CheckpointError
        If it cannot be fetched.
    """
    from huggingface_hub import constants, errors, snapshot_download
    from huggingface_hub.utils import logging as client

    client.set_verbosity_error()  # its warnings of every retry say less than the error in the end
    _log.info("looking for %s on the Hugging Face hub, %s", model, constants.ENDPOINT)
    elsewhere = "or give the folder of a checkpoint on this machine"
    try:
        found = _ask_hub(model)
        folder = Path(snapshot_download(model, allow_patterns=[*_TEXTS, *_SAFE_WEIGHTS], **found))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(model, allow_patterns=[*_TEXTS, *_PICKLED_WEIGHTS], **found))
    except errors.GatedRepoError as error:
        raise ModelNameError(
            f"{model}: the Hugging Face hub gives this model only to those who accepted its terms; "
            f"accept them at {constants.ENDPOINT}/{model} and set HF_TOKEN, {elsewhere}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelNameError(
            f"{model}: the Hugging Face hub has no public model of this name; "
            f"check the name, set HF_TOKEN if the model is private, {elsewhere}"
        ) from error
    except Exception as error:  # the hub client raises its HTTP library's errors too
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{model}: cannot be fetched from the Hugging Face hub, {constants.ENDPOINT} ({reason:.200}); "
            f"check the network and the name, {elsewhere}"
        ) from error
    return folder


def _ask_hub(model: str) -> dict[str, Any]:
    """Return which state of a model to take: the hub's newest, or what is cached where the hub does not answer.

    `snapshot_download` asks too, but waits for ever where the answer does not come (huggingface-hub 2.4).
    """
    from huggingface_hub import HfApi, snapshot_download

    try:
        return {"revision": HfApi().model_info(model, timeout=_HUB_ANSWERS_S).sha}
    except Exception:
        with suppress(Exception):
            snapshot_download(model, allow_patterns=_TEXTS, local_files_only=True)
            return {"local_files_only": True}
        raise
