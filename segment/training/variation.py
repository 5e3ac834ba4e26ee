"""What a user can ask of the variation of training crops; standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from segment.errors import TrainError
from tiler.option import check, option

_AS_IT_IS = (1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Variation:
    """How much crops change from one time that training shows them to the next."""

    zoom: tuple[float, float] = option(
        (0.5, 2.0),
        "Crops are shown at a random scale between these, around a random place of theirs; below 1 with the ground "
        "around them, as far as other crops hold it. 1 1 shows each crop as it was cut.",
        unit="LEAST MOST",
        least=0.25,
        most=4,
        group="variation",
    )
    tilt: bool = option(False, "Crops are turned by any angle, not by quarter turns alone.", group="variation")
    colour: float | None = option(
        None,
        "Brightness, contrast and saturation change by up to this share; gamma, hue and white balance with them.",
        unit="FRACTION",
        least=0,
        most=0.9,
        group="variation",
        shown="by the recipe: 0.2 or 0",
    )
    shadow: float = option(
        0.0, "This share of the crops gets a shadow.", unit="FRACTION", least=0, most=1, group="variation"
    )
    blur: float = option(
        0.0, "This share of the crops is blurred a little.", unit="FRACTION", least=0, most=1, group="variation"
    )
    noise: float = option(
        0.0, "This share of the crops gets noise.", unit="FRACTION", least=0, most=1, group="variation"
    )
    jpeg: float = option(
        0.0, "This share of the crops is compressed as a JPEG.", unit="FRACTION", least=0, most=1, group="variation"
    )

    def __post_init__(self) -> None:
        check(self, TrainError)
        if not self.zoom[0] <= self.zoom[1]:
            raise TrainError(f"zoom: the least scale, then the most expected, {self.zoom[0]:g} {self.zoom[1]:g} found")

    @property
    def moves(self) -> bool:
        """Whether a crop is shown otherwise than it was cut, quarter turns aside."""
        return self.tilt or self.zoom != _AS_IT_IS

    @property
    def words(self) -> str:
        """What is done to crops, for people to read."""
        low, high = self.zoom
        shares = {"shadowed": self.shadow, "blurred": self.blur, "noisy": self.noise, "compressed": self.jpeg}
        parts = [
            "turned by any angle" if self.tilt else "turned by quarters",
            "mirrored",
            f"shown at {low:g} to {high:g} times their scale" if self.zoom != _AS_IT_IS else "",
            f"recoloured by up to {self.colour:.0%}" if self.colour else "",
            *(f"{share:.0%} of them {name}" for name, share in shares.items() if share),
        ]
        return ", ".join(filter(None, parts))
