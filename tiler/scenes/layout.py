"""Plan a scene of a world; nothing is painted yet."""

from __future__ import annotations

from tiler.scenes.neighbourhood import plan_neighbourhood
from tiler.scenes.request import World
from tiler.scenes.thing import Layout, Random
from tiler.scenes.worlds import plan_varied


def plan_layout(shape_m: tuple[float, float], random: Random, world: World) -> Layout:
    """Return what stands in a scene.

    Parameters
    ----------
    shape_m : tuple of float
        (height, width) of the scene, metres.
    random : numpy.random.Generator
        Source of every random choice.
    world : str
        What kind of scene.
    """
    return plan_varied(shape_m, random) if world == "varied" else plan_neighbourhood(shape_m, random)
