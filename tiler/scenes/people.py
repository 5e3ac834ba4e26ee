"""People and dogs: limbs in space, so that they lean away from the camera and cast true shadows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tiler.scenes import looks
from tiler.scenes.canvas import Material, Patch
from tiler.scenes.eye import Eye, Place
from tiler.scenes.frame import Frame, any_angle, any_colour, pick
from tiler.scenes.materials import Colour
from tiler.scenes.shapes import Metres, Point
from tiler.scenes.solids import Disc, Part, Rod, solid
from tiler.scenes.thing import ID, Random, Thing

_SKIN = ((236, 196, 168), (224, 176, 144), (198, 146, 112), (158, 108, 78), (104, 70, 52), (72, 48, 38))
_HAIR = ((28, 22, 20), (52, 38, 28), (84, 58, 38), (128, 92, 56), (196, 160, 104), (150, 146, 142), (214, 210, 204))
_PERSON, _DOG, _OBSTACLE = ID["person"], ID["dog"], ID["obstacle"]

Joints = dict[str, Place]


@dataclass(frozen=True, slots=True)
class Outfit:
    """What somebody wears."""

    skin: Colour
    hair: Colour
    shirt: Colour | Material
    trousers: Colour
    shoes: Colour
    long_sleeves: bool
    long_legs: bool
    dress: bool
    hat: str
    """"", "cap", "brim" or "helmet"."""
    hat_colour: Colour


def draw_outfit(random: Random, at: Point) -> Outfit:
    """Return random clothes."""
    cloth = any_colour(random, neutral=0.55)
    shirt: Colour | Material = cloth
    if random.random() < 0.22:
        pitch = random.uniform(0.04, 0.12)
        shirt = looks.striped(looks.plain(cloth), at, any_angle(random), pitch_m=pitch, line_m=pitch / 2,
                                  change=float(random.uniform(-90, 90)))  # fmt: skip
    hat = pick(random, ("", "", "", "", "cap", "brim", "helmet"))
    return Outfit(
        skin=np.asarray(pick(random, _SKIN)) * random.uniform(0.85, 1.1),
        hair=np.asarray(pick(random, _HAIR)) * random.uniform(0.8, 1.2),
        shirt=shirt,
        trousers=(30, 38, 62) if random.random() < 0.3 else any_colour(random, neutral=0.7),
        shoes=any_colour(random, neutral=0.75),
        long_sleeves=random.random() < 0.5,
        long_legs=random.random() < 0.6,
        dress=random.random() < 0.15,
        hat=hat,
        hat_colour=any_colour(random, neutral=0.5),
    )


def person(at: Point, angle: float, random: Random) -> Thing:
    """Return somebody who stands, walks, sits, crouches or lies, of any age."""
    frame = Frame(
        at, angle, float(random.choice((random.uniform(0.55, 0.85), random.uniform(0.9, 1.06)), p=(0.25, 0.75)))
    )
    outfit = draw_outfit(random, at)
    joints = pick(random, (_upright, _upright, _upright, _upright, _seated, _crouched, _lying))(frame, random)
    parts = list(body(joints, outfit, frame.scale))
    if random.random() < 0.25:
        parts.append(_carried(joints, random))
    return _thing(at, parts)


def _thing(at: Point, parts: list[Part]) -> Thing:
    height = max(part.end[2] for part in parts if isinstance(part, Rod))

    def build(eye: Eye) -> Iterable[Part]:
        return parts

    return solid(at, 1.1, height, build)


def _carried(joints: Joints, random: Random) -> Rod:
    """Return a bag, a ball or a racket in somebody's hand."""
    y, x, z = joints["hand_1"]
    low = max(z - random.uniform(0.05, 0.35), 0.05)
    way = random.normal(0, 0.12, 2)
    end = y + float(way[0]), x + float(way[1]), low
    return Rod((y, x, z), end, float(random.uniform(0.04, 0.13)), any_colour(random, neutral=0.3), _OBSTACLE)


def body(joints: Joints, outfit: Outfit, scale: float) -> Iterator[Part]:
    """Yield a body's parts, from the feet to the hat."""
    for side in ("0", "1"):
        yield from _leg(joints, outfit, scale, side)
    arms = [part for side in ("0", "1") for part in _arm(joints, outfit, scale, side)]
    if outfit.dress:
        for side in ("0", "1"):
            yield Rod(joints[f"knee_{side}"], joints[f"hip_{side}"], 0.16 * scale, outfit.shirt, _PERSON, folds=0.06)
    raised = max(joints["hand_0"][2], joints["hand_1"][2]) > joints["neck"][2]
    if not raised:
        yield from arms
    shirt = outfit.shirt
    for side in ("0", "1"):
        yield Rod(joints[f"hip_{side}"], joints[f"shoulder_{side}"], 0.115 * scale, shirt, _PERSON, folds=0.07)
    yield Rod(joints["pelvis"], joints["neck"], 0.12 * scale, shirt, _PERSON, folds=0.07)
    yield Rod(joints["shoulder_0"], joints["shoulder_1"], 0.085 * scale, shirt, _PERSON, folds=0.05)
    yield Rod(joints["neck"], joints["head"], 0.06 * scale, outfit.skin, _PERSON)
    if raised:
        yield from arms
    yield from _head(joints, outfit, scale)


def _leg(joints: Joints, outfit: Outfit, scale: float, side: str) -> Iterator[Rod]:
    foot, toe, knee, hip = (joints[f"{name}_{side}"] for name in ("foot", "toe", "knee", "hip"))
    yield Rod(foot, toe, 0.05 * scale, outfit.shoes, _PERSON)
    shin = outfit.trousers if outfit.long_legs and not outfit.dress else outfit.skin
    yield Rod(foot, knee, 0.06 * scale, shin, _PERSON, folds=0.05)
    yield Rod(knee, hip, 0.085 * scale, outfit.skin if outfit.dress else outfit.trousers, _PERSON, folds=0.05)


def _arm(joints: Joints, outfit: Outfit, scale: float, side: str) -> Iterator[Rod]:
    shoulder, elbow, hand = (joints[f"{name}_{side}"] for name in ("shoulder", "elbow", "hand"))
    yield Rod(elbow, hand, 0.04 * scale, outfit.shirt if outfit.long_sleeves else outfit.skin, _PERSON)
    yield Rod(hand, hand, 0.05 * scale, outfit.skin, _PERSON)
    yield Rod(shoulder, elbow, 0.055 * scale, outfit.shirt, _PERSON, folds=0.05)


def _head(joints: Joints, outfit: Outfit, scale: float) -> Iterator[Part]:
    head, back = joints["head"], joints["crown"]
    yield Rod(head, head, 0.105 * scale, outfit.skin, _PERSON)
    if outfit.hat == "brim":
        yield Disc(back, 0.4 * scale, 0.4 * scale, looks.plain(outfit.hat_colour), _PERSON)
    covered = outfit.hair if not outfit.hat else outfit.hat_colour
    yield Rod(back, back, (0.112 if outfit.hat != "helmet" else 0.13) * scale, covered, _PERSON, folds=0.06)


def _limbs(frame: Frame, places: dict[str, tuple[float, float, float]]) -> Joints:
    return {name: frame.place(*place) for name, place in places.items()}


def _upright(frame: Frame, random: Random) -> Joints:
    """Return somebody who stands or walks."""
    stride, bend, swing = random.uniform(-0.35, 0.35), random.uniform(-0.02, 0.25), random.normal(0, 0.25, 2)
    wide = random.uniform(0.08, 0.16)
    places: dict[str, tuple[float, float, float]] = {}
    for side, sign in (("0", -1), ("1", 1)):
        step = sign * stride
        places |= {
            f"foot_{side}": (step, sign * wide, 0.06), f"toe_{side}": (step + 0.17, sign * (wide + 0.02), 0.04),
            f"knee_{side}": (0.55 * step + 0.04, sign * wide, 0.48), f"hip_{side}": (0, sign * 0.09, 0.9),
            f"shoulder_{side}": (bend, sign * 0.17, 1.4),
        }  # fmt: skip
        reach = float(swing[sign]) - step * 0.4
        raise_by = abs(random.normal(0, 0.35)) if random.random() < 0.5 else 0.0
        out = random.uniform(0.2, 0.34)
        places[f"elbow_{side}"] = (bend + 0.5 * reach, sign * out, 1.12 + 0.3 * raise_by)
        places[f"hand_{side}"] = (bend + reach + raise_by * 0.4, sign * (out - 0.05), 0.88 + 0.6 * raise_by)
    nod = random.uniform(-0.02, 0.12)
    places |= {"pelvis": (0, 0, 0.95), "neck": (bend, 0, 1.44), "head": (bend + 0.03 + nod, 0, 1.58),
               "crown": (bend + nod - 0.015, 0, 1.63)}  # fmt: skip
    return _limbs(frame, places)


def _seated(frame: Frame, random: Random) -> Joints:
    """Return somebody on a seat, or on the ground."""
    seat, lean = (0.45 if random.random() < 0.75 else 0.12), random.uniform(-0.25, 0.3)
    places: dict[str, tuple[float, float, float]] = {}
    for side, sign in (("0", -1), ("1", 1)):
        wide, far = random.uniform(0.08, 0.22), random.uniform(0.35, 0.75)
        places |= {
            f"foot_{side}": (far, sign * wide, 0.06), f"toe_{side}": (far + 0.16, sign * wide, 0.05),
            f"knee_{side}": (0.42, sign * wide, max(seat, 0.3) + 0.08), f"hip_{side}": (0, sign * 0.09, seat + 0.1),
            f"shoulder_{side}": (lean, sign * 0.17, seat + 0.6),
            f"elbow_{side}": (lean + 0.12, sign * random.uniform(0.2, 0.36), seat + 0.35),
            f"hand_{side}": (lean + random.uniform(0.15, 0.5), sign * random.uniform(0.02, 0.3), seat + 0.25),
        }  # fmt: skip
    places |= {"pelvis": (0, 0, seat + 0.12), "neck": (lean, 0, seat + 0.64), "head": (lean + 0.06, 0, seat + 0.78),
               "crown": (lean + 0.03, 0, seat + 0.83)}  # fmt: skip
    return _limbs(frame, places)


def _crouched(frame: Frame, random: Random) -> Joints:
    """Return somebody who kneels or bends down to something."""
    reach = random.uniform(0.35, 0.7)
    places: dict[str, tuple[float, float, float]] = {}
    for side, sign in (("0", -1), ("1", 1)):
        places |= {
            f"foot_{side}": (-0.25, sign * 0.12, 0.08), f"toe_{side}": (-0.1, sign * 0.13, 0.05),
            f"knee_{side}": (0.15, sign * 0.16, 0.35), f"hip_{side}": (-0.2, sign * 0.1, 0.5),
            f"shoulder_{side}": (0.22, sign * 0.18, 0.82),
            f"elbow_{side}": (0.3, sign * 0.26, 0.58), f"hand_{side}": (reach, sign * random.uniform(0, 0.3), 0.3),
        }  # fmt: skip
    places |= {"pelvis": (-0.2, 0, 0.52), "neck": (0.25, 0, 0.85), "head": (0.37, 0, 0.92), "crown": (0.35, 0, 0.98)}
    return _limbs(frame, places)


def _lying(frame: Frame, random: Random) -> Joints:
    """Return somebody flat on the ground."""
    places: dict[str, tuple[float, float, float]] = {}
    for side, sign in (("0", -1), ("1", 1)):
        spread, out = random.uniform(0.08, 0.3), random.uniform(0.22, 0.6)
        places |= {
            f"foot_{side}": (-0.85, sign * spread, 0.1), f"toe_{side}": (-0.92, sign * (spread + 0.06), 0.12),
            f"knee_{side}": (-0.42, sign * (spread + random.uniform(0, 0.1)), 0.14),
            f"hip_{side}": (0, sign * 0.09, 0.13),
            f"shoulder_{side}": (0.5, sign * 0.17, 0.14),
            f"elbow_{side}": (0.5 + random.uniform(-0.25, 0.25), sign * (out + 0.05), 0.1),
            f"hand_{side}": (random.uniform(0, 0.95), sign * out, 0.1),
        }  # fmt: skip
    places |= {"pelvis": (0, 0, 0.13), "neck": (0.54, 0, 0.14), "head": (0.68, 0, 0.14), "crown": (0.73, 0, 0.14)}
    return _limbs(frame, places)


def riding(frame: Frame) -> Joints:
    """Return somebody on a bicycle."""
    places: dict[str, tuple[float, float, float]] = {}
    for side, sign in (("0", -1), ("1", 1)):
        places |= {
            f"foot_{side}": (0.08 + sign * 0.1, sign * 0.13, 0.3 + sign * 0.12),
            f"toe_{side}": (0.22 + sign * 0.1, sign * 0.14, 0.28 + sign * 0.12),
            f"knee_{side}": (0.2 + sign * 0.05, sign * 0.13, 0.72 + sign * 0.1),
            f"hip_{side}": (-0.2, sign * 0.09, 0.98),
            f"shoulder_{side}": (0.12, sign * 0.18, 1.42), f"elbow_{side}": (0.26, sign * 0.27, 1.2),
            f"hand_{side}": (0.42, sign * 0.26, 1.02),
        }  # fmt: skip
    places |= {"pelvis": (-0.2, 0, 1.0), "neck": (0.14, 0, 1.46), "head": (0.22, 0, 1.58), "crown": (0.19, 0, 1.63)}
    return _limbs(frame, places)


def _spotted(coat: Colour, spots: Colour, share: float) -> Material:
    """Return a coat with spots."""
    first, second = np.asarray(coat, np.float32), np.asarray(spots, np.float32)

    def material(patch: Patch) -> Metres:
        spot = np.clip((patch.texture(0.05, steep=2.4, salt=33) - share) * 5, 0, 1)[..., np.newaxis]
        colours: Metres = first * (1 - spot) + second * spot
        return colours

    return material


def dog(at: Point, angle: float, random: Random) -> Thing:
    """Return a dog of any size and coat, on its legs, seated or stretched out."""
    frame = Frame(at, angle, float(random.uniform(0.55, 1.15)))
    coat = pick(random, ((236, 232, 224), (236, 232, 224), (36, 32, 30), (96, 62, 38), (190, 146, 92), (130, 126, 122)))
    look = _spotted(coat, (30, 26, 26), 0.4) if coat[0] > 200 and random.random() < 0.6 else looks.plain(coat, grain=8)
    face = looks.plain((122, 74, 44), grain=6) if random.random() < 0.4 else look
    low = float(pick(random, (0.42, 0.42, 0.42, 0.15)))
    bend, wag = random.normal(0, 0.12), random.normal(0, 0.15)
    place = frame.place
    legs = [
        Rod(place(u + random.normal(0, 0.06), sign * (0.1 if low > 0.2 else 0.25), 0.03),
            place(u, sign * 0.1, low), 0.035 * frame.scale, look, _DOG)
        for u in (-0.32, 0.3) for sign in (-1, 1)
    ]  # fmt: skip
    parts: list[Part] = [
        *legs,
        Rod(place(-0.36, bend * 0.4, low + 0.05), place(-0.75, bend + wag, low + 0.2), 0.025 * frame.scale, look, _DOG),
        Rod(place(-0.34, bend * 0.4, low), place(0.02, 0, low), 0.125 * frame.scale, look, _DOG),
        Rod(place(0.02, 0, low), place(0.34, bend, low + 0.02), 0.135 * frame.scale, look, _DOG),
        Rod(place(0.34, bend, low + 0.05), place(0.5, 1.6 * bend, low + 0.22), 0.08 * frame.scale, look, _DOG),
        Rod(place(0.54, 1.7 * bend, low + 0.22), place(0.68, 2 * bend, low + 0.18), 0.06 * frame.scale, face, _DOG),
        Rod(place(0.52, 1.7 * bend - 0.03, low + 0.24), place(0.52, 1.7 * bend + 0.03, low + 0.24), 0.08 * frame.scale,
            face, _DOG),
    ]  # fmt: skip
    return solid(at, 0.9, low + 0.25, lambda eye: parts)
