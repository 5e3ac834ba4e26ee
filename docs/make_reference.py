"""Print a page: `python docs/make_reference.py > docs/reference.md`; with `api`, that of Python's functions."""

import sys

if sys.argv[1:] == ["api"]:
    from commands.python_page import page as api

    print(api(), end="")
else:
    from cli import main
    from commands.reference import page

    print(page(main), end="")
