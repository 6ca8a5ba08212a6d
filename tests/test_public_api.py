"""What is public stays as it was said, or is deprecated first."""

import importlib
import pathlib
import re
import warnings

import pytest

from slimnets import deprecation
from tests.test_docs import make_pages

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "reference" / "public_api.md"
ADVICE = (
    "Run python docs/make_pages.py where this is meant. A name or an argument that "
    "others use goes by slimnets.deprecation, and with a line in CHANGELOG.md."
)


def entries(text):
    """Each public name with how it is called, by the module it is listed under."""
    module, found = "", {}
    for line in text.splitlines():
        if line.startswith("## "):
            module = line.removeprefix("## ")
        elif match := re.fullmatch(r"- `([\w.]+)(.*)`", line):
            found[f"{module}.{match[1]}"] = match[2]
    return found


def test_public_names_and_signatures_are_those_of_the_committed_list():
    listed = entries(PAGE.read_text(encoding="utf-8"))
    now = entries(make_pages.public_api())
    assert len(now) > 100
    assert not listed.keys() - now.keys(), f"Gone. {ADVICE}"
    assert not now.keys() - listed.keys(), f"New. {ADVICE}"
    changed = {n: (listed[n], now[n]) for n in now if listed[n] != now[n]}
    assert not changed, f"Called in another way. {ADVICE}"


@pytest.fixture
def fresh(monkeypatch):
    monkeypatch.setattr(deprecation, "_TEXTS", {})
    monkeypatch.setattr(deprecation, "_SHOWN", set())


def test_a_deprecated_function_warns_once_and_where_it_is_called(fresh):
    @deprecation.deprecated("0.1", "use sum")
    def total(numbers):
        """Adds."""
        return sum(numbers)

    says = r"total is .* 0\.1 and goes in 0\.3"
    with pytest.warns(DeprecationWarning, match=says) as warned:
        assert total([1, 2]) == 3
    assert warned[0].filename == __file__ and total.__doc__ == "Adds."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert total(numbers=[1]) == 1


def test_what_is_overdue_is_told(fresh):
    deprecation.deprecated("0.1", "use sum")(entries)
    assert deprecation.overdue("0.1.5") == deprecation.overdue("0.2.0") == []
    assert len(deprecation.overdue("0.3.0")) == len(deprecation.overdue("1.0")) == 1


def test_nothing_of_slimnets_is_overdue():
    importlib.import_module("slimnets.model.keras_layer")
    assert deprecation._TEXTS and deprecation.overdue() == []
