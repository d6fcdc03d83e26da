"""Errors say what, where and what to do; they survive a trip between processes."""

import inspect

import pytest

from hashcomb import errors
from hashcomb.errors import BudgetError, DataError, HashcombError, MissingExtraError, PartyTimeout, SpecError

SAMPLES = [
    DataError("is no number", column="age", row=41, hint="correct the row"),
    SpecError("must be finite", path="features[3].lo"),
    PartyTimeout("did not connect", party="bob", step="connect"),
    MissingExtraError("this needs pyarrow", extra="arrow"),
    BudgetError("would be overspent", asked=2.0, left=0.5),
]


def test_message_names_place_problem_and_remedy() -> None:
    """The message of a DataError names column, row, problem and what to do."""
    assert str(SAMPLES[0]) == "column 'age', row 41: is no number; correct the row"


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_error_keeps_its_fields_when_rebuilt(error: HashcombError) -> None:
    """What joblib rebuilds in another process has the same message and the same typed fields."""
    rebuild, arguments = error.__reduce__()[:2]
    again = rebuild(*arguments)
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_every_error_has_one_base_and_is_public() -> None:
    """All error classes derive from HashcombError, all warnings from HashcombWarning, and __all__ lists them."""
    classes = {
        name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and cls.__module__ == errors.__name__
    }
    assert set(classes) == set(errors.__all__) - {"unforeseen"}
    assert all(issubclass(cls, errors.HashcombError | errors.HashcombWarning) for cls in classes.values())


def test_errors_are_also_the_standard_ones() -> None:
    """Callers that catch ValueError, TimeoutError or ImportError catch ours."""
    assert isinstance(SAMPLES[0], ValueError)
    assert isinstance(SAMPLES[2], TimeoutError)
    assert isinstance(SAMPLES[3], ImportError)


def test_spec_error_seen_from_further_out() -> None:
    """A path grows outward as an error leaves nested fields."""
    assert SpecError("x", path="lo").within("features[2]").path == "features[2].lo"
    assert SpecError("x", path="[3]").within("edges").path == "edges[3]"
    assert SpecError("x").within("features[2]").path == "features[2]"
