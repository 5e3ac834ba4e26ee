"""What a user can ask of the demo, and where it puts things; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segment.errors import DemoError, RecordError
from tiler.option import check, option
from tiler.scenes.request import SceneOptions

DEMO_SCENES = SceneOptions(photos=3, orthomosaics=1, seed=2026)
"""The survey of the demo; the bundled model never saw a scene of this seed."""
DEMO_BYTES = 200_000_000
"""What the demo needs on the disk, at most."""
_MARKER = ".noseam-demo"


@dataclass(frozen=True, kw_only=True)
class DemoRequest:
    """What the user asked of the demo."""

    out: Path = option(
        Path("noseam-demo"), "This folder gets the survey, the masks and the evaluation.", unit="DIR", path="folder"
    )
    report: bool = option(
        True, "A page that any browser opens shows the survey, its masks and their evaluation: masks/report/index.html."
    )

    def __post_init__(self) -> None:
        check(self, DemoError)

    @property
    def survey(self) -> Path:
        """Folder of the made-up survey."""
        return self.out / "survey"

    @property
    def masks(self) -> Path:
        """Folder of the masks that the bundled model makes of the survey."""
        return self.out / "masks"

    @property
    def evaluation(self) -> Path:
        """Folder of the report on these masks."""
        return self.out / "evaluation"

    @property
    def picture(self) -> Path:
        """Picture of a photo, its mask and both on top of each other."""
        return self.out / "comparison.png"

    def claim(self) -> None:
        """Make the demo's folder, and mark it as the demo's.

        Raises
        ------
        DemoError
            If it holds files that no earlier demo made.
        RecordError
            If it cannot be written to.
        """
        marker = self.out / _MARKER
        try:
            if self.out.exists() and not marker.exists() and any(self.out.iterdir()):
                raise DemoError(f"{self.out} holds files that are not of an earlier demo; choose another --out")
            self.out.mkdir(parents=True, exist_ok=True)
            marker.touch()
        except DemoError:
            raise
        except OSError as error:
            reason = error.strerror or error
            raise RecordError(f"{self.out}: the demo cannot write there: {reason}; choose another --out") from error


def is_of_demo(masks: Path) -> bool:
    """Return whether a folder holds the masks of a demo, whose scenes are such as its model learned from."""
    out = masks.absolute().parent
    return DemoRequest(out=out).masks == masks.absolute() and (out / _MARKER).exists()
