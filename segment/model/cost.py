"""What a tile costs the network, by the config of its checkpoint alone: no weights, no engine, no machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from math import ceil
from operator import mul
from typing import Any

_VALUE = 20
"""What it takes to write a value and to read it again, in multiplications: the one fitted number."""
_IMAGE_CHANNELS = 3
_DEPTHWISE = 9
"""Products for each value of the 3 x 3 convolution between the two layers of a block's perceptron."""
_DECODER_CHANNELS = 256
_ENCODER_BLOCKS = 4
_TWO_CLASSES = (0, 1)
_LISTS: Mapping[str, Sequence[float]] = {
    "depths": (2, 2, 2, 2),
    "hidden_sizes": (32, 64, 160, 256),
    "mlp_ratios": (4, 4, 4, 4),
    "patch_sizes": (7, 3, 3, 3),
    "sr_ratios": (8, 4, 2, 1),
    "strides": (4, 2, 2, 2),
}
"""What transformers' SegformerConfig has where a config says nothing: MiT-B0."""
_LARGEST = 1e6
"""No number of a config is larger by right."""


@dataclass(frozen=True, slots=True)
class TileCost:
    """What tiles cost a network, by their area."""

    balance_px: float
    """Area of a tile, model pixels, at which attention takes as long as all the rest; see `balance_px`."""
    bytes_px: float
    """Bytes that OpenVINO holds for each model pixel of a tile while it computes it in float32."""


def cost_of(config: Mapping[str, Any]) -> TileCost:
    """Return what tiles cost a network, by the content of its `config.json`; what is odd or missing is as in MiT-B0.

    The bytes were fitted: three arrays of the decode head's width at a quarter of the resolution, and 12 bytes. That
    meets mini, MiT-B0, B2 and B5 within 5 % at 1024 x 1536.
    """
    decoder, *_ = _numbers([config.get("decoder_hidden_size")]) or [_DECODER_CHANNELS]
    return TileCost(balance_px(config), 12 * (decoder / 16 + 1))


@dataclass(frozen=True, slots=True)
class Work:
    """What a SegFormer with a folded decode head does for a tile."""

    products: float
    """Multiplications in matrix products and convolutions, for each model pixel, without attention."""
    values: float
    """What these layers and the upsampling in the head write, for each model pixel."""
    attention: float
    """Multiplications in attention, for each pair of model pixels."""


def balance_px(config: Mapping[str, Any]) -> float:
    """Return the area of a tile, model pixels, for which attention takes as long as all the rest of the network.

    So a tile of A pixels costs `A * (1 + A / balance_px)`, in a unit of the network's own. It is 0.85 megapixels for
    MiT-B0 and 1.7 for MiT-B5. `benchmarks/shapes.py` holds the formula against measured tiles of 256 x 256 to
    1024 x 1536. It meets those of real networks within 9 %, and typically 3 %.

    Parameters
    ----------
    config : mapping
        Content of `config.json`, see `count_work`.
    """
    work = count_work(config)
    return (work.products + _VALUE * work.values) / work.attention


def count_work(config: Mapping[str, Any]) -> Work:
    """Return what a network does.

    Parameters
    ----------
    config : mapping
        Content of `config.json`. An entry that is missing or odd counts as that of MiT-B0.
    """
    classes = len(config.get("id2label") or _TWO_CLASSES)
    decoder, *_ = _numbers([config.get("decoder_hidden_size")]) or [_DECODER_CHANNELS]
    stages = [_stage_work(stage, decoder) for stage in _stages(config)]
    finest = 1 / next(_stages(config)).side_px ** 2
    return Work(
        sum(work.products for work in stages) + finest * decoder * classes,
        sum(work.values for work in stages) + finest * (decoder * (len(stages) - 1) + classes),
        sum(work.attention for work in stages),
    )


@dataclass(frozen=True, slots=True)
class _Stage:
    """The numbers that shape a stage of the encoder."""

    side_px: float
    """Model pixels along the side of a token."""
    channels_before: float
    depth: float
    channels: float
    mlp_ratio: float
    patch: float
    reduction: float
    """Tokens along the side of a key."""


def _stages(config: Mapping[str, Any]) -> Iterator[_Stage]:
    depths, channels, ratios, patches, reductions, strides = (
        _numbers(config.get(key)) or default for key, default in _LISTS.items()
    )
    before = (_IMAGE_CHANNELS, *channels)
    count, *_ = _numbers([config.get("num_encoder_blocks")]) or [_ENCODER_BLOCKS]
    stages = map(_Stage, accumulate(strides, mul), before, depths, channels, ratios, patches, reductions)
    yield from islice(stages, ceil(count))


def _stage_work(stage: _Stage, decoder: float) -> Work:
    """Return what a stage does: its embedding, its blocks, and its share of the folded head."""
    width, inner = stage.channels, stage.channels * stage.mlp_ratio
    keys = 1 / stage.reduction**2  # for each token
    reducing = 1 if stage.reduction > 1 else 0
    square = 2 + reducing + 2 * keys  # queries and output, reduction, keys and values
    block = square * width**2 + 2 * width * inner + _DEPTHWISE * inner
    written = (3 + (2 + reducing) * keys) * width + 2 * inner
    embedding = stage.patch**2 * stage.channels_before * width
    tokens = 1 / stage.side_px**2  # for each pixel
    return Work(
        tokens * (embedding + stage.depth * block + width * decoder),
        tokens * (width + stage.depth * written + decoder),
        tokens**2 * keys * stage.depth * 2 * width,
    )


def _numbers(entry: Any) -> list[float]:
    """Return the numbers of a list in a config; none where it is no list of sensible ones."""
    if not isinstance(entry, list) or not all(isinstance(each, int | float) and 0 < each < _LARGEST for each in entry):
        return []
    return list(map(float, entry))
