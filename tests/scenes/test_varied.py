"""The varied world: repeatable, of every class and kind, painted alike in blocks of any size, at any resolution."""

from __future__ import annotations

import numpy as np
import pytest

from tiler.classes import DRONE_CLASSES
from tiler.scenes import canvas as canvas_module
from tiler.scenes import flora, paving, terrain, worlds
from tiler.scenes.canvas import Canvas, Patch, moved
from tiler.scenes.scene import make_scene
from tiler.scenes.shapes import around, blob, both, box, radial, wave
from tiler.scenes.soils import field
from tiler.scenes.terrain import GROUNDS, Site
from tiler.scenes.thing import ID

SUN = (0.6, 0.8)
PLANTS = {
    "broadleaf": ("tree", flora.broadleaf), "conifer": ("tree", flora.conifer), "bare": ("bald-tree", flora.bare_tree),
    "shrub": ("vegetation", flora.shrub), "tuft": ("vegetation", flora.tuft), "boulder": ("rocks", flora.boulder),
}  # fmt: skip


def site(seed: int = 1) -> Site:
    return Site((4.0, 6.0), SUN, np.random.default_rng(seed), bare=0.3)


def patch(side: int = 200, gsd_m: float = 0.01) -> Patch:
    centres = ((np.arange(side) + 0.5) * gsd_m).astype(np.float32)
    return Patch(centres[:, np.newaxis], centres[np.newaxis], (12_345, 6_789), gsd_m)


def test_a_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (make_scene(200, 300, seed=seed, world="varied", gsd_m=0.03) for seed in (1, 1, 2))
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)


def test_every_class_but_two_occurs_and_every_pixel_has_one() -> None:
    seen = np.zeros(256, np.int64)
    for seed in range(20):
        scene = make_scene(200, 300, seed=seed, gsd_m=(0.05, 0.1)[seed % 2], world="varied")
        seen += np.bincount(scene.labels.ravel(), minlength=256)
    absent = {name for name, count in zip(DRONE_CLASSES.names, seen, strict=False) if not count}
    assert absent == {"unlabeled", "conflicting"}
    assert seen[len(DRONE_CLASSES) :].sum() == 0


@pytest.mark.parametrize("gsd_m", [0.004, 0.3])
def test_scenes_of_every_kind_can_be_made_from_near_by_and_from_afar(gsd_m: float) -> None:
    for plan, _ in {*worlds.NEAR, *worlds.WIDE}:
        planned = Site((90 * gsd_m, 120 * gsd_m), SUN, np.random.default_rng(3), bare=0.5)
        plan(planned)
        canvas = Canvas((90, 120), gsd_m=gsd_m, shift=(1, 2))
        canvas.labels[:] = 255
        for thing in sorted(planned.things, key=lambda each: each.height_m):
            thing.paint(canvas)
        assert canvas.labels.max() < len(DRONE_CLASSES)


@pytest.mark.parametrize("kind", list(GROUNDS))
def test_a_ground_looks_the_same_in_blocks_of_any_size(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = []
    for side in (32, 4096):
        monkeypatch.setattr(canvas_module, "_BLOCK_PX", side)
        canvas = Canvas((110, 90), gsd_m=0.012, shift=(5, 9))
        canvas.shaded = np.zeros((110, 90), np.uint8)
        material, name = site().ground(kind)
        canvas.paint(blob((0.6, 0.5), 0.5, np.random.default_rng(1)), material, ID[name], ragged_m=0.03)
        pictures.append((canvas.pixels, canvas.labels))
    assert np.array_equal(pictures[0][0], pictures[1][0])
    assert np.array_equal(pictures[0][1], pictures[1][1])
    assert np.unique(pictures[0][0].reshape(-1, 3), axis=0).shape[0] > 50


@pytest.mark.parametrize(("name", "maker"), PLANTS.values(), ids=PLANTS)
def test_a_plant_has_its_class_within_its_outline(name: str, maker: object) -> None:
    assert callable(maker)
    canvas = Canvas((150, 150), gsd_m=0.02, shift=(3, 4))
    thing = maker((1.5, 1.5), 1.0, SUN, np.random.default_rng(5))
    thing.paint(canvas)
    labelled = canvas.labels == ID[name]
    assert set(np.unique(canvas.labels)) == {0, ID[name]}
    rows, cols = (np.arange(150, dtype=np.float32) + 0.5) * 0.02, (np.arange(150, dtype=np.float32) + 0.5) * 0.02
    distance = thing.outline.distance(rows[:, np.newaxis], cols[np.newaxis])
    assert labelled[distance < -0.3].all()
    assert not labelled[distance > 0.4].any()


def test_a_crown_is_brighter_on_the_side_of_the_sun() -> None:
    canvas = Canvas((200, 200), gsd_m=0.02, shift=(3, 4))
    light, dark = [], []
    for seed in range(6):
        flora.broadleaf((2.0, 2.0), 1.6, SUN, np.random.default_rng(seed)).paint(canvas)
        light.append(canvas.pixels[60:100, 50:90].mean())
        dark.append(canvas.pixels[100:140, 110:150].mean())
    assert np.mean(light) > 1.2 * np.mean(dark)


def test_noise_has_the_deviation_that_a_camera_would_see() -> None:
    fine, coarse = patch(), patch(gsd_m=0.1)
    assert fine.texture(0.05).std() == pytest.approx(1, abs=0.15)
    assert coarse.texture(0.05).std() == pytest.approx(1 / 3, abs=0.06)
    assert abs(np.corrcoef(fine.texture(0.05).ravel(), fine.texture(0.05, salt=1).ravel())[0, 1]) < 0.2


def test_noise_is_smooth_where_its_features_are_larger_than_pixels() -> None:
    level = patch().texture(2.0, steep=3.0)
    assert np.abs(np.diff(level, axis=0)).max() < 0.2
    assert level.std() > 0.2


def test_cells_have_joints_between_them_and_one_number_each() -> None:
    found = patch().cells(0.3)
    assert found.edge.min() >= 0
    assert 20 < len(np.unique(found.index)) < 150
    changes = found.index[:, 1:] != found.index[:, :-1]
    assert found.edge[:, 1:][changes].max() < 0.12


@pytest.mark.parametrize(
    "bond",
    [
        lambda ground: paving._running(ground, 0.4, 0.2, 0.3, 0.5),
        lambda ground: paving._herringbone(ground, 0.4, 0.2, 0.3),
        lambda ground: paving._basket(ground, 0.2, 0.3),
    ],
    ids=["running", "herringbone", "basket"],
)
def test_stones_meet_in_joints_alone(bond: object) -> None:
    assert callable(bond)
    laid = bond(patch())
    changes = laid.index[:, 1:] != laid.index[:, :-1]
    assert changes.any()
    assert laid.joint.min() >= 0
    assert laid.joint[:, 1:][changes].max() < 0.012
    assert laid.joint.max() == pytest.approx(0.1, abs=0.02)
    sizes = np.bincount(np.unique(laid.index, return_inverse=True)[1].ravel()) * 1e-4
    assert sizes.max() == pytest.approx(0.08, rel=0.05)


def test_a_material_moves_with_its_thing() -> None:
    material = paving.pavers(np.random.default_rng(2), 0.4)
    ground = patch()
    there = Patch(ground.y + np.float32(0.5), ground.x + np.float32(0.25), ground.shift, ground.gsd_m)
    assert np.abs(moved(material, 0.5, 0.25)(there) - material(ground)).mean() < 2


def test_outlines_are_made_of_others() -> None:
    y, x = np.array([[0.0]], np.float32), np.array([[3.0]], np.float32)
    first, second = box((0, 0), 8, 2), box((3, 0), 2, 9)
    assert both(box((0, 0), 8, 2), box((0, 3), 1, 1)).distance(y, x) < 0
    assert both(first, second).distance(y, x) > 0
    assert around(first, 0.4).distance(y, x + np.float32(0.9)) < 0 < around(first, 0.4).distance(y, x)
    assert radial((0, 0), np.full(2048, 2.5, np.float32)).distance(y, x) == pytest.approx(0.5)
    line = wave((0, 0), 0.0, np.random.default_rng(0), swing_m=0.0, reach_m=5)
    assert line.distance(y + np.float32(2), x) == pytest.approx(2)


def test_spots_are_free_and_within() -> None:
    planned = site()
    shape = box((2, 3), 3, 2)
    spots = list(planned.spots(shape, 0.2, 40))
    assert len(spots) > 10
    assert all(terrain.inside(shape, at, 0.1) for at in spots)
    apart = [np.hypot(a[0] - b[0], a[1] - b[1]) for number, a in enumerate(spots) for b in spots[:number]]
    assert min(apart) >= 0.4


def test_fields_are_of_the_class_that_grows_there() -> None:
    names = {field(np.random.default_rng(seed), 0.3)[1] for seed in range(30)}
    assert names == {"dirt", "grass", "vegetation"}
