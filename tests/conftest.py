"""How hypothesis runs here: no deadlines (kernels compile on first use); the same examples in every CI run."""

import os

from hypothesis import settings

settings.register_profile("noseam", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("noseam")
