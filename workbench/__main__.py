"""The `workbench` command: checks the installation, then runs the command line."""

import gc
import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    """Run the command line, or exit with one sentence where another package stands in the way."""
    if intruder := _intruder():
        sys.exit(
            f"workbench: {intruder} hides a package of Event Workbench; install it in an environment of its own,"
            " with pipx or `uv tool`."
        )
    # What a start makes is there to stay: looking through it for cycles takes a tenth of a short command's time. A
    # command that lasts takes it up again (workbench.cli.runner).
    gc.disable()
    # Behind the check: what the command line imports would be looked up in the wrong package.
    try:
        from workbench.cli.program import run

        # It deals with all that is raised; what ends here could not be imported.
        code = run()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sys.exit(f"workbench: the installation is damaged ({type(error).__name__}: {error}); install it again.")
    # Python looks for cycles in all that there is before it ends, again and again: a quarter of a short command's time.
    gc.freeze()
    sys.exit(code)


def _intruder() -> str | None:
    """The path of a package that is imported instead of ours: `connectors` and `views` are names others use too."""
    ours = Path(__file__).resolve().parent.parent
    for name in ("connectors", "views"):
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != ours / name:
            return f"{found or f'a missing or foreign {name}/'}"
    return None


if __name__ == "__main__":
    main()
