"""How the tests run: no deadlines (kernels compile on first use), the same examples in every CI run, a cache apart.

GDAL reads side files where tests ask what other programs see. Test processes share the cores, each its part.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ |= {"GDAL_DISABLE_READDIR_ON_OPEN": "FALSE", "GDAL_PAM_ENABLED": "YES"}
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a thread that waits leaves its core to the other process
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # where kernels are imported they run in Triton's interpreter
workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if workers > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // workers, 1)))
settings.register_profile("noseam", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("noseam")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    os.environ["NOSEAM_CACHE"] = str((folder.parent if workers > 1 else folder) / "cache")  # one for all processes
