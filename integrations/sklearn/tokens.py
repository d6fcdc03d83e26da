"""Tokens as scikit-learn's estimators take them: checked, without losing a bit, and with their header."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import _check_feature_names_in, check_array, validate_data

from hashcomb import TokenHeader
from hashcomb.columns import as_frame, refuse_where
from hashcomb.errors import DataError, SpecError
from hashcomb.header import header_of
from hashcomb.integrations.sklearn.tables import without_values

__all__ = ("column_names", "read_tokens", "tag_tokens")

Tokens = NDArray[np.uint64]
_EXACT = 2.0**53  # from here on, float64 does not tell a whole number from the next


def read_tokens(estimator: Any, X: Any, *, reset: bool, depth: int | None = None) -> Tokens:
    """Return the tokens of `X`, checked, and keep or compare what is public about them.

    scikit-learn's own checks make float64 of unsigned integers in some frames, which loses bits; these do not.

    Parameters
    ----------
    estimator : estimator
        With ``reset=True`` it is given ``n_features_in_``, ``feature_names_in_`` (where columns have names),
        ``header_`` (a `TokenHeader`, or None where `X` brings none) and ``n_levels_`` (levels of a path, 1 for
        leaf tokens). Otherwise `X` must fit them.
    X : TokenArray, array_like or data frame
        Shape (n_rows, n_columns) or (n_rows, n_features, depth): tokens as `HashComb.encode` gives them, or plain
        integers, signed ones too. Floats are taken for the whole numbers that they are, and any other float for
        its 64 bits; beyond 2**53 they are refused.
    reset : bool
        Whether this is `fit`.
    depth : int, optional
        Levels of a path, where neither a header nor a third dimension says it.

    Returns
    -------
    ndarray of uint64, shape (n_rows, n_columns)
        In C order; the levels of a feature side by side.

    Raises
    ------
    DataError
        If `X` is sparse, empty, has other columns than in `fit` or some beside those of its header, or holds what is
        no token.
    FingerprintError
        If `X` was made under another Spec, Key or salt than what `fit` saw.
    SpecError
        If the columns do not split into paths of `depth` levels.
    """
    frame, header = as_frame(X), header_of(X)
    if frame is not None and header is not None:
        _refuse_kept(frame.columns, header.columns)
    array = _from_array(X, estimator) if frame is None else _from_frame(frame)
    flat = array.reshape(len(array), -1)
    _check_columns(estimator, X if frame is not None else flat, reset)
    if reset:
        estimator.header_ = header
        names = None if frame is None else list(frame.columns)
        estimator.n_levels_ = _levels(array, _depth_by_header(flat, names, header), depth)
    elif estimator.header_ is not None:
        estimator.header_.require_same(header)
    return flat


def column_names(estimator: Any, input_features: Any = None) -> list[str]:
    """Return the names of the token columns that a fitted estimator saw.

    Parameters
    ----------
    estimator : estimator
        Fitted with `read_tokens`.
    input_features : array_like of str, optional
        Names; by default those seen by `fit`, then those of the header, then ``x0``, ``x1``, ...
    """
    if input_features is None and not hasattr(estimator, "feature_names_in_") and estimator.header_ is not None:
        names = estimator.header_.columns
        if len(names) == estimator.n_features_in_:  # some columns of an array do not say which they are
            return list(names)
    return [str(name) for name in _check_feature_names_in(estimator, input_features)]


def tag_tokens(tags: Any) -> Any:
    """Say in scikit-learn's tags what `read_tokens` takes."""
    tags.input_tags.three_d_array = True
    tags.input_tags.allow_nan = tags.input_tags.sparse = False
    return tags


def _refuse_kept(found: Sequence[str], tokens: Sequence[str]) -> None:
    """Refuse columns kept beside tokens, a label perhaps, which nobody meant for tokens; all may have new names."""
    kept = [name for name in found if name not in tokens]
    if 0 < len(kept) < len(found):
        raise DataError("is no column of tokens", column=kept[0], hint="drop it, or pass it by itself")


def _from_frame(frame: Any) -> Tokens:
    """Return the columns of a frame side by side, each by itself, as frames would make floats of them together."""
    if not frame.columns or not len(frame):
        raise DataError("the frame has no rows or no columns", hint="pass the frame that encode gave")
    columns = []
    for name in frame.columns:
        series = frame[name]
        refuse_where(series.is_null().to_numpy(), name, "a missing value (NaN), which is no token", _HINT)
        columns.append(_as_tokens(series.to_numpy(), name))
    return np.stack(columns, axis=1)


def _from_array(X: Any, estimator: Any) -> Tokens:
    """Return array_like as tokens, shape (n_rows, n_columns) or (n_rows, n_features, depth)."""
    if issparse(X):
        raise DataError("a sparse matrix holds no tokens", hint="pass the tokens themselves, or make it dense")
    refused = None
    try:
        array = check_array(X, dtype="numeric", allow_nd=True, ensure_all_finite=False, estimator=estimator)
    except ValueError as error:
        refused = str(error)
    if refused is not None:  # out here, where the error that shows values is no longer the context
        raise without_values(refused, X)
    if array.ndim > 3 or array.dtype.kind not in "uibf":
        raise DataError("tokens are integers of shape (n_rows, n_columns) or (n_rows, n_features, depth)")
    return _as_tokens(array, None)


_HINT = "pass tokens as integers, as encode gave them"


def _as_tokens(array: Any, name: str | None) -> Tokens:
    """Return numbers as tokens: signed integers by their bits, floats as `read_tokens` says."""
    if array.dtype.kind in "uib":
        return np.ascontiguousarray(array, dtype=np.uint64)
    if array.dtype.kind not in "f":
        raise DataError(f"values of type {array.dtype} are no tokens", column=name, hint=_HINT)
    numbers = np.array(array, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise DataError("a missing value (NaN) or an infinity (inf), which is no token", column=name, hint=_HINT)
    if (np.abs(numbers) >= _EXACT).any():
        problem = "tokens were turned into floats, which has lost bits"
        raise DataError(problem, column=name, hint="keep them as integers from encode to here")
    whole = numbers == np.trunc(numbers)
    return np.where(whole, np.where(whole, numbers, 0).astype(np.int64).view(np.uint64), numbers.view(np.uint64))


def _check_columns(estimator: Any, X: Any, reset: bool) -> None:
    """Let scikit-learn keep or compare the number of columns and their names."""
    refused = None
    try:
        validate_data(estimator, X, y="no_validation", reset=reset, skip_check_array=True)
    except ValueError as error:
        refused = str(error)
    if refused is not None:
        raise without_values(refused, X)


def _depth_by_header(flat: Tokens, names: list[str] | None, header: TokenHeader | None) -> int | None:
    """Return the levels of a path if the header says that whole paths stand side by side, all or some of them."""
    if header is None or header.tokens != "comb":
        return None
    place = {name: index for index, name in enumerate(header.columns)}
    if names is None:
        names = list(header.columns) if flat.shape[1] == len(place) else []
    feature, level = np.divmod([place.get(name, -1) for name in names], header.depth)
    whole = len(names) % header.depth == 0 and len(names) > 0
    if not whole or (level != np.arange(len(names)) % header.depth).any():
        return None
    return header.depth if (np.ptp(feature.reshape(-1, header.depth), axis=1) == 0).all() else None


def _levels(array: Tokens, by_header: int | None, depth: int | None) -> int:
    """Return how many levels a feature has."""
    known = array.shape[2] if array.ndim == 3 else by_header
    n_levels = known or depth or 1
    n_columns = array.size // len(array)
    if n_levels < 1 or n_columns % n_levels or (depth is not None and n_levels != depth):
        problem = f"{n_columns} token columns are no paths of {depth or n_levels} levels"
        raise SpecError(problem, path="depth", hint="leave it out for leaf tokens and for tokens with their header")
    return n_levels
