"""The noseam command line: registers the commands."""

from __future__ import annotations

from commands.adapt import adapt
from commands.crop import crop
from commands.demo import demo
from commands.doctor import doctor
from commands.evaluate import evaluate
from commands.group import main
from commands.plan import plan
from commands.polygons import polygons
from commands.report import report
from commands.review import review
from commands.scenes import scenes
from commands.segment import segment
from commands.settings import name_variables
from commands.status import status
from commands.train import train

__all__ = ["main"]

for command in (segment, plan, status, report, crop, train, adapt, evaluate, review, polygons, scenes, demo, doctor):
    main.add_command(command)
name_variables(main)

if __name__ == "__main__":
    main()
