"""Print the reference page: `python docs/make_reference.py > docs/reference.md`."""

from cli import main
from commands.reference import page

print(page(main), end="")
