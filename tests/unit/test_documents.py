"""Documents are parsed strictly."""

import pytest

from hashcomb.documents import parse_json, parse_toml, without_none
from hashcomb.errors import SpecError


def test_plain_documents_are_read() -> None:
    """What is right is read as any reader would."""
    assert parse_json('{"a": [1, 2.5, "x", null, true]}') == {"a": [1, 2.5, "x", None, True]}
    assert parse_toml(b"a = [1, 2]\n[b]\nc = 'x'\n") == {"a": [1, 2], "b": {"c": "x"}}


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '{"b": {"a": 1, "a": 2}}', "[Infinity]", "[-Infinity]", "{}x", ""]
)
def test_json_that_readers_disagree_on_is_refused(text: str) -> None:
    """Repeated keys, numbers that are none and trailing text are refused."""
    with pytest.raises(SpecError):
        parse_json(text)


def test_none_is_left_out_at_every_depth() -> None:
    """Fields without a value are left out for TOML."""
    assert without_none({"a": None, "b": [{"c": None, "d": 1}]}) == {"b": [{"d": 1}]}
