import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_test_that_hangs_fails_by_its_name_and_the_others_are_run(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(
        """
import threading, pytest

@pytest.fixture
def endless():
    yield
    threading.Event().wait()

def test_that_hangs():
    threading.Event().wait()

def test_behind_it():
    pass

def test_that_fails_and_then_hangs(endless):
    raise AssertionError
"""
    )
    (tmp_path / "test_two.py").write_text("def test_elsewhere():\n    pass\n")
    options = [
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.hangs",
        "--rootdir",
        str(tmp_path),
        "-c",
        str(tmp_path / "pytest.ini"),
    ]
    (tmp_path / "pytest.ini").write_text("[pytest]\nfaulthandler_timeout = 5\nfaulthandler_exit_on_timeout = true\n")
    workers = ["--numprocesses", "2", "--dist", "loadfile"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-rf", *options, *workers, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "3 failed, 2 passed" in ran.stdout
    assert "crashed while running 'test_one.py::test_that_hangs'" in ran.stdout
    assert "crashed while running 'test_one.py::test_that_fails_and_then_hangs'" in ran.stdout
    assert "in test_that_hangs" in ran.stderr
