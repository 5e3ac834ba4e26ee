"""Which masks of a survey stand already, as far as can be told without the engine."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from segment.model.checkpoint import Description, fit_classes, weights_digest
from segment.plan.recipe import recipe_for
from segment.plan.request import Request
from segment.plan.standing import as_lines, look_at_all
from segment.plan.survey import SurveyPlan


def told_what_stands(
    plan: SurveyPlan, request: Request, description: Description, class_table: Path | None = None
) -> SurveyPlan:
    """Return a plan that tells which masks are up to date, and why others are made again.

    The engine is not opened. So masks of any engine are taken for right.

    Parameters
    ----------
    plan : SurveyPlan
        The survey.
    request : Request
        What it was planned for.
    description : Description
        The checkpoint.
    class_table : Path or None
        CSV with other names and colours for its classes.
    """
    recipe = partial(
        recipe_for, request=request, model_digest=weights_digest(description),
        classes=fit_classes(description, class_table), engine=None,
        temperature=description.temperature, balance=description.balance,
    )  # fmt: skip
    found = look_at_all(plan.images, recipe)
    current = frozenset(path for path, standing in found.items() if standing.state == "current")
    return replace(plan, current=current, again=tuple(as_lines(found.values())))
