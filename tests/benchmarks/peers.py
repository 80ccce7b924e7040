"""What benchmarks compare with, and the project does without: each in an environment of its own, made once."""

import subprocess
import sys
from pathlib import Path

from tests.brokers.install import cache


def installed(name: str, version: str) -> Path:
    """The folder of a package's programs, Python among them.

    Args:
        name: The package's.
        version: Which.
    """
    environment = cache() / f"{name}-{version}"
    finished = environment / "installed"
    if not finished.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        pip = str(environment / "bin" / "pip")
        subprocess.run([pip, "install", "--quiet", f"{name}=={version}"], check=True)
        finished.touch()
    return environment / "bin"
