"""Dask: arrays and data frames that no machine holds, encoded partition for partition, lazily."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hashcomb import Categorical, HashComb, Key, place
from hashcomb.errors import DataError, KeyMaterialError
from hashcomb.frames import Selection, decode_frame, decoded_row
from hashcomb.integrations import require

if TYPE_CHECKING:
    from hashcomb.values import Decoding

da = require("dask", "dask.array")
dd = require("dask", "dask.dataframe")
pd = require("dask", "pandas")
tokenize = require("dask", "dask.base").tokenize

__all__ = ("decode", "encode")


def encode(
    codec: HashComb,
    collection: Any,
    *,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    record_id: str | None = None,
    memo_key: Key | None = None,
) -> Any:
    """Encode a Dask array or data frame, partition for partition; nothing is computed yet.

    Parameters
    ----------
    codec : HashComb
        Spec and Key. It travels to the workers, with the Key.
    collection : dask.array.Array of shape (n_rows, n_features), or dask.dataframe.DataFrame
        An array must be in one chunk along the features.
    keep, drop : sequence of str, optional
        Columns of a data frame to keep beside the tokens, and to leave out; see `hashcomb.frames.encode_frame`.
    record_id : str, optional
        Column of record ids of a data frame, for `memo_key`. That an id occurs twice is found within a partition only.
    memo_key : Key, optional
        As for `HashComb.encode`, and with the same reports.

    Returns
    -------
    dask.array.Array or dask.dataframe.DataFrame
        Tokens, in the same partitions (or in those that Dask joins where it reads few columns of many files); one
        without rows gives one without tokens. Without a channel, or with record ids, the bytes are those that
        `HashComb.encode` gives the same rows in memory.

    Raises
    ------
    DataError
        If the collection is neither, has other columns than the Spec, or features in several chunks. When computed:
        as `HashComb.encode`; the message names column and partition, and the row within it.
    KeyMaterialError
        If a memo key comes without record ids, or record ids without a memo key.

    Notes
    -----
    Privacy: the Key is part of the graph. Whoever runs the scheduler or a worker, or reads what they write to disk,
    has it: use a cluster of the owner's own, with TLS between its machines. With a channel, each call draws a secret,
    which is in the graph too, and costs epsilon once: the noise of a partition is a function of this secret, the
    partition's number and all its leaves. A task that runs again on the same rows, and a second ``compute``, therefore
    give the same reports and cost nothing; a partition that is read anew with other rows gets unrelated noise, and
    costs epsilon again.
    """
    if (memo_key is None) != (record_id is None):
        raise KeyMaterialError("record ids and a memo key go together", hint="give both, or none")
    carried = _Carried(codec, memo_key)
    if _is_frame(collection):
        Selection(codec.spec, codec.header, keep, drop, record_id).check(collection.columns)
        meta = _meta(codec.encode(_row(codec)), collection._meta, keep)
        named = {"keep": tuple(keep), "drop": tuple(drop), "record_id": record_id}
        return _map_frames(_Partition(carried, _encode_frame, named, meta), collection)
    if keep or drop or record_id is not None:
        raise DataError("columns have names in data frames only", hint="pass a dask.dataframe")
    tokens = np.asarray(codec.encode(_row(codec).to_numpy(dtype=object)))
    return _map_blocks(_Partition(carried, _encode_block, {}, tokens[:0]), collection, len(codec.spec.names))


def decode(
    codec: HashComb,
    tokens: Any,
    *,
    keep: Sequence[str] = (),
    like: Any = None,
    representative: Decoding | None = None,
) -> Any:
    """Decode a Dask array or data frame of tokens, partition for partition; nothing is computed yet.

    Parameters
    ----------
    codec : HashComb
        Spec and Key. It travels to the workers, with the Key.
    tokens : dask.array.Array or dask.dataframe.DataFrame
        What `encode` gave.
    keep : sequence of str, optional
        Columns beside the tokens to keep.
    like : dask.dataframe.DataFrame or pandas.DataFrame, optional
        Decoded columns get the types that it has for them, as in `hashcomb.frames.decode_frame`.
    representative : str, optional
        As for `HashComb.decode`.

    Returns
    -------
    dask.array.Array or dask.dataframe.DataFrame
        Decoded values, in the same partitions. Categories that are whole numbers have the type ``Int64``.

    Raises
    ------
    DataError
        If the tokens are in neither, or features are in several chunks. When computed: as `HashComb.decode`; the
        message names column and partition.
    FingerprintError, SpecError
        As `HashComb.decode`.

    Notes
    -----
    Privacy: as for `encode`, the Key is part of the graph.
    """
    carried = _Carried(codec)
    if _is_frame(tokens):
        types = _types(codec, getattr(like, "_meta", like), representative)
        named = {"keep": tuple(keep), "like": types, "representative": representative}
        return _map_frames(_Partition(carried, _decode_frame, named, _meta(types, tokens._meta, keep)), tokens)
    if keep or like is not None:
        raise DataError("columns have names and types in data frames only", hint="pass a dask.dataframe")
    decoded = codec.decode(codec.encode(_row(codec).to_numpy(dtype=object)), representative)
    named = {"representative": representative}
    return _map_blocks(_Partition(carried, _decode_block, named, decoded[:0]), tokens, len(codec.spec.names))


# ---------------------------------------------------------------------- what travels to the workers
@lru_cache(maxsize=8)
def _codec(rebuild: Callable[..., HashComb], arguments: tuple[Any, ...]) -> HashComb:
    """Build a codec once in a worker, and not for each of its tasks."""
    return rebuild(*arguments)


def _carry(codec: tuple[Callable[..., HashComb], tuple[Any, ...]], secret: Key) -> _Carried:
    return _Carried(_codec(*codec), secret)


class _Carried:
    """A codec, and the secret that the noise of one call comes from, on their way to the workers."""

    def __init__(self, codec: HashComb, secret: Key | None = None) -> None:
        self.codec = codec
        self.secret = Key.create() if secret is None else secret

    def __reduce__(self) -> Any:
        return _carry, (self.codec.__reduce__(), self.secret)


class _Partition:
    """What a worker does with a partition: nothing where there is nothing, and errors say where they are."""

    def __init__(self, carried: _Carried, work: Callable[..., Any], named: dict[str, Any], empty: Any) -> None:
        self.carried, self.work, self.named, self.empty = carried, work, named, empty
        self.__name__ = f"hashcomb{work.__name__}"  # what Dask calls the tasks

    def __dask_tokenize__(self) -> Any:
        # Names of tasks are shown to many: they are made of what is public, and not by a hash of the Key. Equal work
        # has equal names, as Dask wants it; each call with noise of its own is work of its own.
        codec, secret = self.carried.codec, self.carried.secret
        call = "" if codec.spec.channel is None else secret.id
        return tokenize(codec.header.to_json(), call, self.__name__, self.named, self.empty)

    def __call__(self, rows: Any, numbers: Any) -> Any:
        if len(rows) == 0:
            return self.empty
        number = int(np.asarray(numbers).ravel()[0])
        try:
            return self.work(self.carried, rows, number, **self.named)
        except DataError as error:
            problem = f"in partition {number}, {error.problem}"
            raise DataError(problem, column=error.column, row=error.row, hint=error.hint) from None


def _encode_block(carried: _Carried, rows: Any, number: int) -> Any:
    return np.asarray(carried.codec.encode(rows, **_noise(carried, rows, number)))


def _decode_block(carried: _Carried, tokens: Any, _: int, *, representative: Any) -> Any:
    return carried.codec.decode(tokens, representative)


def _encode_frame(
    carried: _Carried, frame: Any, number: int, *, keep: Sequence[str], drop: Sequence[str], record_id: str | None
) -> Any:
    codec = carried.codec
    selection = Selection(codec.spec, codec.header, keep, drop, record_id)
    rows, ids = selection.rows(frame), selection.ids(frame)
    noise = _noise(carried, rows, number) if ids is None else {"record_ids": ids, "memo_key": carried.secret}
    return selection.beside(codec.encode(rows, **noise), frame)


def _decode_frame(carried: _Carried, tokens: Any, _: int, **named: Any) -> Any:
    return decode_frame(carried.codec, tokens, **named)


def _noise(carried: _Carried, rows: Any, number: int) -> dict[str, Any]:
    """Return how a partition gets its noise: by names of its rows that change if any of its leaves does.

    The number of a partition alone would not do: if it were read again with its rows in another order, one noise
    would hide two records. Nor would the leaves alone, which two partitions may have in common.
    """
    if carried.codec.spec.channel is None:
        return {}
    leaves = np.ascontiguousarray(place(rows, carried.codec.spec), dtype="<i4")
    digest = hashlib.sha256(leaves.tobytes()).hexdigest()
    return {"record_ids": [f"{number}:{digest}:{i}" for i in range(len(leaves))], "memo_key": carried.secret}


# ---------------------------------------------------------------------- what Dask has to know beforehand
def _is_frame(collection: Any) -> bool:
    if not isinstance(collection, da.Array | dd.DataFrame):
        raise DataError("is no Dask array or data frame", hint="pass one, or use HashComb.encode")
    return isinstance(collection, dd.DataFrame)


def _row(codec: HashComb) -> Any:
    """Return one row that the Spec takes, to see of which types its tokens and values are."""
    features = codec.spec.features
    return pd.DataFrame({f.name: [f.categories[0] if isinstance(f, Categorical) else f.lo] for f in features})


def _types(codec: HashComb, like: Any, representative: Any) -> Any:
    """Return a frame with the types of decoded columns: those of `like`, else such as have room for missing values."""
    types = pd.DataFrame(decoded_row(codec.spec, representative))
    whole = [name for name in types.columns if types[name].dtype.kind in "iu"]
    types = types.astype(dict.fromkeys(whole, "Int64")).iloc[:0]
    if like is None:
        return types
    if not isinstance(like, pd.DataFrame):
        raise DataError("the types are those of another kind of data frame", hint="pass one of Dask or pandas")
    return types.assign(**{name: like[name].iloc[:0].array for name in types.columns if name in like.columns})


def _meta(row: Any, source: Any, keep: Sequence[str]) -> Any:
    """Return an empty frame with the columns of `row` and those kept, over the index of the source."""
    for name in keep:
        if name not in source.columns:
            raise DataError("is missing", column=name, hint="keep columns that are there")
    empty = row.iloc[:0].set_index(source.index[:0])
    meta = empty.assign(**{name: source[name].iloc[:0] for name in keep})
    meta.attrs = dict(row.attrs)
    return meta


def _map_frames(partition: _Partition, collection: Any) -> Any:
    # Dask may join partitions when it reads them, and joins others where it reads one alone. Planned beforehand, a
    # partition has the same rows and the same number whatever is computed of it.
    planned = collection.optimize(fuse=False)
    graph, keys = planned.__dask_graph__(), planned.__dask_keys__()
    settled = dd.from_graph(graph, collection._meta, planned.divisions, keys, "hashcomb_rows")
    # The number of a partition comes with it, as data. Dask's own partition_info counts anew after
    # `collection.partitions[3]`, and two partitions would have one number.
    numbers = dd.from_map(_numbered, range(settled.npartitions), meta=_numbered(0))
    return settled.map_partitions(partition, numbers, meta=partition.empty, align_dataframes=False)


def _numbered(number: int) -> Any:
    return pd.DataFrame({"number": [number]})


def _map_blocks(partition: _Partition, rows: Any, n_features: int) -> Any:
    empty = partition.empty
    if rows.ndim not in (2, 3) or rows.shape[1] != n_features or any(n > 1 for n in rows.numblocks[1:]):
        hint = "rechunk({1: -1}) puts a row's features in one chunk"
        raise DataError(f"an array has rows in chunks, and {n_features} features in one", hint=hint)
    numbers = da.from_array(np.arange(rows.numblocks[0]), chunks=1)
    out, places = "ijk"[: empty.ndim], "ijk"[: rows.ndim]
    new = {"k": empty.shape[2]} if empty.ndim > rows.ndim else {}
    return da.blockwise(
        partition, out, rows, places, numbers, "i", new_axes=new, align_arrays=False, concatenate=True, meta=empty
    )
