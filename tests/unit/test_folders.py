"""The user's folders: the same that platformdirs gives."""

import platformdirs
import pytest

from workbench.connecting.folders import config_path, state_path


@pytest.mark.parametrize("home", ["/home/ada", "/", "relative", ""])
@pytest.mark.parametrize("given", [None, "", "/elsewhere", "/elsewhere/", "relative"])
def test_files_are_where_the_system_wants_them(monkeypatch: pytest.MonkeyPatch, home: str, given: str | None) -> None:
    monkeypatch.setenv("HOME", home)
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        if given is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, given)
    assert config_path("a.toml") == platformdirs.user_config_path("event-workbench") / "a.toml"
    assert state_path("kept") == platformdirs.user_state_path("event-workbench") / "kept"
