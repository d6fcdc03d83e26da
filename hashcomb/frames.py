"""Data frames with more columns than the Spec names: which are encoded, which are kept, and types on the way back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from hashcomb.columns import as_frame, batch_like, table_of_batch
from hashcomb.days import read_origin, times_after
from hashcomb.errors import DataError
from hashcomb.files import refuse_clash, refuse_text
from hashcomb.header import TokenHeader
from hashcomb.spec import Categorical, Feature, Spec

if TYPE_CHECKING:
    from hashcomb.codec import HashComb
    from hashcomb.keys import Key
    from hashcomb.values import Decoding

__all__ = ("Selection", "decode_frame", "decoded_row", "encode_frame")


class Selection:
    """Which columns of a data frame are encoded, and what becomes of the others.

    Parameters
    ----------
    spec : Spec
        Names the columns that are encoded.
    header : TokenHeader
        Of the tokens.
    keep : sequence of str, optional
        Columns that stay beside the tokens as they are.
    drop : sequence of str, optional
        Columns that are left out.
    record_id : str, optional
        Column of record ids, left out unless it is kept.

    Raises
    ------
    DataError
        If a column is to be kept that is encoded, or is to be kept and dropped.
    """

    def __init__(
        self,
        spec: Spec,
        header: TokenHeader,
        keep: Sequence[str] = (),
        drop: Sequence[str] = (),
        record_id: str | None = None,
    ) -> None:
        refuse_clash(header, keep)
        refuse_text(drop, "drop")
        for name in (*keep, *drop, *([] if record_id is None else [record_id])):
            if name in spec.names:
                raise DataError("is in the Spec and encoded; it cannot be kept, dropped or an id", column=name)
        for name in keep:
            if name in drop:
                raise DataError("is to be kept and to be dropped", column=name)
        self.keep = tuple(keep)
        self._names, self._aside, self._id = spec.names, {*keep, *drop}, record_id

    def check(self, names: Iterable[str]) -> None:
        """Raise `DataError` if a column is missing, or nobody has said what becomes of it."""
        found = dict.fromkeys(names)  # in order, and quick to search
        wanted = dict.fromkeys([*self._names, *sorted(self._aside), *([] if self._id is None else [self._id])])
        for name in wanted:
            if name not in found:
                raise DataError("is missing", column=name, hint="rename a column, or name others to keep or drop")
        for name in found:
            if name not in wanted:
                raise DataError("is not in the Spec", column=name, hint="name it under keep or drop")

    def rows(self, frame: Any) -> Any:
        """Return the columns to encode, as a frame of the same kind."""
        source = _frame(frame)
        self.check(source.columns)
        return batch_like(source.select(*self._names).to_native(), frame)

    def ids(self, frame: Any) -> list[Any] | None:
        """Return the record ids, None if there is no column of them."""
        return None if self._id is None else list(_frame(frame)[self._id].to_list())

    def beside(self, tokens: Any, frame: Any) -> Any:
        """Return a frame of tokens with the kept columns of the frame that was encoded behind them."""
        if not self.keep:
            return tokens
        source, target = _frame(frame), _frame(tokens)
        native = target.with_columns(*(source[name] for name in self.keep)).to_native()
        if isinstance(getattr(native, "attrs", None), dict):
            native.attrs = dict(tokens.attrs)  # where the header is
        elif source.implementation.is_pyarrow():
            native = native.replace_schema_metadata(tokens.schema.metadata)
        return batch_like(native, tokens)


def encode_frame(
    codec: HashComb,
    frame: Any,
    *,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    seed: int | None = None,
    record_id: str | None = None,
    memo_key: Key | None = None,
) -> Any:
    """Encode the columns of a data frame that the Spec names, and keep others beside the tokens as they are.

    Parameters
    ----------
    codec : HashComb
        Spec and Key.
    frame : data frame
        Of pandas, polars or pyarrow, or a record batch of Arrow. Columns are found by their names.
    keep : sequence of str, optional
        Columns that stay as they are, types and missing values too.
    drop : sequence of str, optional
        Columns that are left out. Any other that the Spec does not name is an error: nothing leaves by chance.
    seed : int, optional
        As for `HashComb.encode`.
    record_id : str, optional
        Column of record ids, for `memo_key`; it is left out unless it is kept.
    memo_key : Key, optional
        As for `HashComb.encode`.

    Returns
    -------
    data frame
        Of the same kind, with the columns ``codec.header.columns`` and behind them those kept, with the frame's index.

    Raises
    ------
    DataError
        If columns are missing, of no use or named twice; or as `HashComb.encode`.
    KeyMaterialError, SpecError
        As `HashComb.encode`.

    Notes
    -----
    Privacy: kept columns and the index of a pandas frame are in the clear. The tokens are those of
    `HashComb.encode`, and cost what it says.

    Examples
    --------
    >>> import pandas as pd
    >>> from hashcomb import HashComb, Key, Spec, Uniform
    >>> codec = HashComb(Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4), Key.create())
    >>> rows = pd.DataFrame({"age": [41, 44], "ill": [True, False]})
    >>> encode_frame(codec, rows, keep=["ill"]).dtypes.astype(str).to_dict()
    {'age': 'uint64', 'ill': 'bool'}
    """
    selection = Selection(codec.spec, codec.header, keep, drop, record_id)
    tokens = codec.encode(selection.rows(frame), seed=seed, record_ids=selection.ids(frame), memo_key=memo_key)
    return selection.beside(tokens, frame)


def decode_frame(
    codec: HashComb,
    tokens: Any,
    *,
    keep: Sequence[str] = (),
    like: Any = None,
    representative: Decoding | None = None,
) -> Any:
    """Decode a data frame of tokens, with the columns kept beside them, to the types of another frame.

    Parameters
    ----------
    codec : HashComb
        Spec and Key.
    tokens : data frame
        What `encode_frame` gave, in whole or some of its rows.
    keep : sequence of str, optional
        Columns beside the tokens to keep.
    like : data frame, optional
        Of the same kind, with or without rows: decoded columns get the types that it has for them. Whole numbers and
        truth are rounded to the nearest, halves down. By default numbers are floats, categories text or numbers, and
        dates dates.
    representative : {"center", "mean", "rank", "posterior", "unbiased"}, optional
        As for `HashComb.decode`.

    Returns
    -------
    data frame
        Of the same kind, with the columns of the Spec and behind them those kept.

    Raises
    ------
    DataError
        As `HashComb.decode`; or if a column cannot be kept, or cannot have the type of `like`.
    FingerprintError, SpecError
        As `HashComb.decode`.
    """
    selection = Selection(codec.spec, codec.header, keep)
    for name in keep:
        if name not in _frame(tokens).columns:
            raise DataError("is missing", column=name, hint="keep columns that are beside the tokens")
    decoded = codec.decode(tokens, representative)
    if like is not None:
        decoded = _with_types(decoded, like)
    return selection.beside(decoded, tokens)


def _frame(frame: Any) -> Any:
    found = as_frame(frame)
    if found is None:
        raise DataError("is no data frame whose columns have names", hint="pass an array to HashComb.encode")
    return found


# ---------------------------------------------------------------------- types
def _with_types(decoded: Any, like: Any) -> Any:
    frame, model = _frame(decoded), _frame(like)
    native = table_of_batch(like)
    if frame.implementation is not model.implementation:
        raise DataError("the types are those of another kind of data frame", hint="pass a frame of the same library")
    columns = [_typed(frame[name], model[name], native[name]) for name in frame.columns if name in model.columns]
    return batch_like(frame.with_columns(*columns).to_native(), decoded)


def _typed(series: Any, model: Any, native: Any) -> Any:
    if series.dtype.is_float():
        series = series if series.implementation.is_pandas_like() else series.fill_nan(None)
        if model.dtype.is_integer() or model.dtype == nw.Boolean:
            # To the nearest, halves down: the center of a leaf from 3 to 4 is the whole number in it.
            series = -((0.5 - series) // 1.0)
    kind = getattr(native, "type", None) or native.dtype
    if kind == np.dtype(bool) and series.is_null().any():
        raise DataError("has missing values, which its type cannot hold", column=series.name)
    try:
        changed = nw.from_native(_cast(series, kind, model.dtype), series_only=True)
        lost = _has_lost(series, changed)
    except Exception:  # of whichever library; its message may hold a value
        lost = True
    if lost:
        hint = "leave it out of like, or give it a type that fits what was decoded"
        raise DataError(f"cannot be turned to type {kind}", column=series.name, hint=hint)
    return changed.alias(series.name)


def _cast(series: Any, kind: Any, dtype: Any) -> Any:
    values = series.to_native()
    if series.implementation.is_pandas_like():
        return values.astype(kind)
    # From microseconds to these nothing can overflow; parts of a unit are cut off, as other libraries do.
    coarser = series.implementation.is_pyarrow() and getattr(dtype, "time_unit", "") in ("s", "ms")
    return values.cast(kind, safe=False) if coarser else values.cast(kind)


def _has_lost(series: Any, changed: Any) -> bool:
    """Return whether numbers have wrapped around, or categories are missing, for which a type has no place."""
    if changed.is_null().sum() != series.is_null().sum():
        return True
    whole = series.dtype.is_float() and (changed.dtype.is_integer() or changed.dtype == nw.Boolean)
    return whole and bool((changed.cast(nw.Float64) != series).any())


def decoded_row(spec: Spec, representative: Decoding | None = None) -> dict[str, Any]:
    """Return columns of one row whose types are those of decoded values, whatever is missing in a table.

    Parameters
    ----------
    spec : Spec
        Of the tokens.
    representative : str, optional
        As for `HashComb.decode`.

    Returns
    -------
    dict of str to list or ndarray
        By the names of the features.
    """
    return {feature.name: _example(feature, representative) for feature in spec.features}


def _example(feature: Feature, representative: Decoding | None) -> Any:
    number = np.zeros(1)
    if representative == "rank":
        return number
    if isinstance(feature, Categorical):
        return list(feature.categories[:1])
    return number if feature.origin is None else times_after(number, read_origin(feature.origin))
