"""The plugin of pytest that chooses from the suite what applies to each kind of endpoint; the rest is deselected, never
skipped. A connector that lives elsewhere loads it by `pytest_plugins = ["tests.contract.selection"]`.
"""

import pytest

from workbench.model.endpoint import Ability

_SUBJECTS = [
    "listing", "publishing", "rules", "browsing", "tailing", "starting", "scanning", "groups", "claiming", "ledgers",
    "connecting", "watching", "actions",
]  # fmt: skip
pytest.register_assert_rewrite("tests.contract.steps", *(f"tests.contract.{subject}" for subject in _SUBJECTS))

from tests.contract.under_test import Contract, Kind  # noqa: E402

_NONE = Ability(0)


def pytest_configure(config: pytest.Config) -> None:
    """Make the suite's marker known."""
    config.addinivalue_line(
        "markers", "needs(abilities, *, lacks, **traits): a contract test for kinds of endpoint that are like this"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with a `kind` for each kind of endpoint that the broker has."""
    if _of_contract(metafunc.cls) and "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", metafunc.cls.kinds, ids=lambda kind: kind.name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that a kind of endpoint does not claim to pass."""
    unfit = [item for item in items if isinstance(item, pytest.Function) and not _fits(item)]
    if unfit:
        config.hook.pytest_deselected(items=unfit)
        items[:] = [item for item in items if item not in unfit]


def _of_contract(suite: type | None) -> bool:
    return suite is not None and issubclass(suite, Contract)


def _fits(item: pytest.Function) -> bool:
    if not _of_contract(item.cls) or not (marks := list(item.iter_markers("needs"))):
        return True
    kind = item.callspec.params["kind"]
    assert isinstance(kind, Kind)
    return all(_has(kind, *mark.args, **mark.kwargs) for mark in marks)


def _has(kind: Kind, abilities: Ability = _NONE, *, lacks: Ability = _NONE, **traits: object) -> bool:
    return (
        abilities in kind.abilities
        and not lacks & kind.abilities
        and all(getattr(kind, name) == wanted for name, wanted in traits.items())
    )
