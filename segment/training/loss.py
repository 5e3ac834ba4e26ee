"""What a training makes less: cross entropy of pixels, balanced or not, with Dice or Lovasz beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segment.training.request import Balance, Loss
from tiler.classes import NO_LABEL

_MOST_WEIGHT = 10


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss of a batch."""

    kind: Loss = "ce"
    """Cross entropy alone, or with what beside it."""
    weights: Tensor | None = None
    """Weight per class in the cross entropy, on the device of the logits."""
    share: float = 1.0
    """See `pixel_loss`."""
    ohem: float = 1.0
    """See `pixel_loss`."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of logits, float32 of shape (N, C, h, w), under labels, int64 of shape (N, h, w).

        Cross entropy adds up over batches and devices. Dice and Lovasz cannot: each is a ratio of areas in its own
        batch. So accumulated batches, and those of several devices, give the mean of their ratios, which is near the
        ratio of all where every batch shows much of each class.
        """
        loss = pixel_loss(logits, labels, self.weights, share=self.share, ohem=self.ohem)
        if self.kind == "ce":
            return loss
        of_areas = dice_loss if self.kind == "ce+dice" else lovasz_loss
        return loss + of_areas(logits, labels)


def quarter(labels: Tensor, step: int) -> Tensor:
    """Return the labels (N, h / 2, w / 2) of every second pixel of every second row, other ones at each of four steps.

    Neighbours say the same, and logits are upsampled to four times as many pixels by a sixth of the time of a step.
    Logits at half the resolution lie half a pixel from these labels, to each side by turns.
    """
    return labels[:, step % 2 :: 2, step // 2 % 2 :: 2]


def pixel_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, *, share: float = 1.0, ohem: float = 1.0
) -> Tensor:
    """Return the sum of the cross entropy over the labelled pixels, divided by how many a batch has on average.

    The divisor is a fixed number, not the batch's own number of labelled pixels. So the losses of accumulated batches
    and of several devices add up to the loss of one large batch, and every labelled pixel of a training counts alike.
    That holds for hard pixels too: whether one is hard is said by a bound, not by a rank within its batch.

    Parameters
    ----------
    logits : Tensor, float32 of shape (N, C, h, w)
        At the resolution of the labels.
    labels : Tensor, int64 of shape (N, h, w)
        Class ids, 255 = no label.
    weights : Tensor or None
        Weight per class.
    share : float
        Mean weight of a pixel over all crops, where a pixel without a label weighs 0. With it the mean loss is a
        mean over labelled pixels.
    ohem : float
        Pixels whose true class has this probability or more count nothing; 1: all count. (Shrivastava, Gupta and
        Girshick, Training Region-based Object Detectors with Online Hard Example Mining, CVPR 2016; there a fixed
        number of the hardest counts.)
    """
    if ohem >= 1:
        total = nn.functional.cross_entropy(logits, labels, weight=weights, ignore_index=NO_LABEL, reduction="sum")
    else:
        plain = nn.functional.cross_entropy(logits, labels, ignore_index=NO_LABEL, reduction="none")
        hard = plain.detach() > -math.log(ohem)  # pixels without a label have loss 0
        each = plain if weights is None else plain * weights[labels.where(labels != NO_LABEL, 0)]
        total = (each * hard).sum()
    return total / (labels.numel() * share)


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return 1 minus the soft Dice coefficient, the mean over the classes that the labels show; 0 if they show none.

    The coefficient of a class is `(2 sum(p t) + 1) / (sum(p) + sum(t) + 1)` over the labelled pixels, where `p` is its
    probability and `t` is 1 where it is the true class, else 0 (Milletari, Navab and Ahmadi, V-Net, 3DV 2016, without
    their squares; one pixel is added so that a class of few pixels does not leap).

    Parameters
    ----------
    logits, labels : Tensor
        See `pixel_loss`.
    """
    shares, truth = _labelled(logits, labels)
    if not len(truth):
        return logits.sum() * 0
    classes = shares.shape[1]
    areas = torch.bincount(truth, minlength=classes)
    both = shares.new_zeros(classes).index_add(0, truth, shares.gather(1, truth[:, None])[:, 0])
    dice = (2 * both + 1) / (shares.sum(dim=0) + areas + 1)
    return 1 - dice[areas > 0].mean()


def lovasz_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the Lovasz-softmax loss, the mean over the classes that the labels show; 0 if they show none.

    It is 1 minus the IoU, made smooth: the errors `|t - p|` of a class, greatest first, each times what the IoU loses
    when its pixel goes wrong too (Berman, Triki and Blaschko, The Lovasz-Softmax Loss, CVPR 2018).

    Parameters
    ----------
    logits, labels : Tensor
        See `pixel_loss`.
    """
    shares, truth = _labelled(logits, labels)
    if not len(truth):
        return logits.sum() * 0
    losses = []
    for index in torch.unique(truth).tolist():
        here = truth == index
        errors, order = torch.sort((here.to(shares) - shares[:, index]).abs(), descending=True)
        losses.append(errors @ _lost(here[order]).to(errors))
    return torch.stack(losses).mean()


def _labelled(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return probabilities (n, C) and true classes (n,) of the labelled pixels."""
    known = labels != NO_LABEL
    return logits.movedim(1, -1)[known].softmax(dim=1), labels[known]


def _lost(here: Tensor) -> Tensor:
    """Return by how much the IoU of a class falls with each pixel that goes wrong, one after the other.

    Parameters
    ----------
    here : Tensor of bool, shape (n,)
        Whether a pixel is of the class, in the order in which pixels go wrong.
    """
    area = here.sum()
    found = area - here.cumsum(dim=0)  # whole numbers, because float32 cannot count more than 16 million
    lost = 1 - found / (area + (~here).cumsum(dim=0))
    return lost.diff(prepend=lost.new_zeros(1))


def balance_classes(pixels: NDArray[np.int64], how: Balance = "median") -> NDArray[np.float32]:
    """Return a weight per class by median frequency balancing, or its square root.

    The frequency of a class is its share of the labelled pixels of the crops that show it. Its weight is the median
    of all frequencies, divided by its own (Eigen and Fergus, Predicting Depth, Surface Normals and Semantic Labels,
    ICCV 2015). Unlike there, the weight is at least 0.1 and at most 10, so that a few stray pixels do not rule the
    loss. A class without any pixel has weight 1.

    Parameters
    ----------
    pixels : ndarray of int64, shape (crops, classes)
        Pixels of each class in each crop.
    how : str
        `median`, `sqrt` for the square roots of these weights, or `none` for 1 everywhere.
    """
    counts = pixels.sum(axis=0)
    around = (pixels.sum(axis=1, keepdims=True) * (pixels > 0)).sum(axis=0)
    frequency = np.divide(counts, around, out=np.ones(counts.shape), where=counts > 0)
    median = np.median(frequency[counts > 0]) if counts.any() else 1.0
    weights = np.clip(median / frequency, 1 / _MOST_WEIGHT, _MOST_WEIGHT) ** {"none": 0, "sqrt": 0.5, "median": 1}[how]
    return np.where(counts > 0, weights, 1).astype(np.float32)
