"""What a network says of tiles is what a plain look at every pixel finds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from segment.evaluation.metrics import confusion, measure
from segment.training.sample import sample, scores_of

CPU = torch.device("cpu")


class Coarse(nn.Module):
    """A network that gives what it gets, at a quarter of the size."""

    def forward(self, pixel_values: Tensor) -> Coarse:
        self.logits = nn.functional.avg_pool2d(pixel_values, 4)
        return self


class Tiles(Dataset[dict[str, Tensor]]):
    """Tiles of three classes and two shapes; some pixels have no label."""

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(0)
        shapes = [(16, 32), (24, 16), (16, 32)]
        self.pixels = [torch.randn(3, *shape, generator=random) for shape in shapes]
        self.labels = [torch.randint(0, 4, shape, generator=random) for shape in shapes]
        for labels in self.labels:
            labels[labels == 3] = 255

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"pixel_values": self.pixels[index], "labels": self.labels[index]}


def test_logits_labels_and_scores_are_those_of_every_pixel() -> None:
    tiles, rows, counts = Tiles(), [], np.zeros((3, 4), np.int64)
    for number in range(len(tiles)):
        labels = tiles.labels[number]
        coarse = nn.functional.avg_pool2d(tiles.pixels[number][None], 4)
        fine = nn.functional.interpolate(coarse, size=labels.shape, mode="bilinear", align_corners=False)[0]
        best = fine.argmax(dim=0)
        counts += confusion(labels.numpy().astype(np.uint8), best.numpy().astype(np.uint8), 3)
        rows += [(fine[:, row, col], labels[row, col], number) for row, col in (labels < 3).nonzero().tolist()]
    logits, true, numbers = zip(*rows, strict=True)
    found = sample(Coarse(), Tiles(), 3, CPU)
    torch.testing.assert_close(found.logits, torch.stack(logits))
    assert torch.equal(found.labels, torch.stack(true))
    assert torch.equal(found.tiles, torch.tensor(numbers))
    assert found.count == 3
    scores, expected = scores_of(found.logits, found.labels), measure(counts)
    np.testing.assert_array_equal(scores.iou, expected.iou)
    assert scores.accuracy == expected.accuracy


def test_a_part_of_the_pixels_is_the_same_each_time() -> None:
    whole, part, again = (sample(Coarse(), Tiles(), 3, CPU, most=most) for most in (2**25, 600, 600))
    assert 100 < len(part.labels) < 220 < len(whole.labels)
    assert torch.equal(part.logits, again.logits)
    assert set(part.tiles.tolist()) == {0, 1, 2}
