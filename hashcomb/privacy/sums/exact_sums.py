"""The truth about small sums: the Renyi divergence of a client for given data of the others, or the worst of all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.channels import Channel
from hashcomb.channels.channel import whole
from hashcomb.errors import ChannelError
from hashcomb.privacy.exact import order_of
from hashcomb.privacy.sums.moments import matrix_of, pair_moments
from hashcomb.privacy.sums.powers import UNIT, LogLaw, convolve

__all__ = ("renyi_of_sum", "worst_renyi_of_sum")

Floats = NDArray[np.float64]

_MAX_CLIENTS = 1 << 8
_MAX_DATA = 1 << 14
_ROUNDING = 1e-12


def renyi_of_sum(channel: Channel | ArrayLike, others: Sequence[int], alpha: float) -> float:
    """Return the Renyi divergence of a client in a sum with others whose symbols are known: the truth for these.

    Parameters
    ----------
    channel : Channel or array_like of float, shape (n_symbols, n_reports)
        What all of them report by.
    others : sequence of int
        Symbols of the others.
    alpha : float
        Order, above 1 and finite.

    Returns
    -------
    float
        The largest over ordered pairs of symbols, exact but for rounding, which is up.

    Raises
    ------
    ChannelError
        If the matrix, a symbol or the order is none.
    """
    matrix = matrix_of(channel)
    symbols = [whole(symbol, "others", 0, len(matrix) - 1) for symbol in others]
    rows, law = _log_rows(matrix), LogLaw(np.zeros(1), 0.0, -math.inf)
    for symbol in symbols:
        law = convolve(law, rows[symbol], depth=math.inf)
    return _divergence(rows, law, order_of(alpha))


def worst_renyi_of_sum(channel: Channel | ArrayLike, n_honest: int, alpha: float) -> float:
    """Return the Renyi divergence of a client in a sum, for the worst data of the others, by trying all.

    Parameters
    ----------
    channel : Channel or array_like of float, shape (n_symbols, n_reports)
        What all of them report by.
    n_honest : int
        How many clients there are, at most 256.
    alpha : float
        Order, above 1 and finite.

    Returns
    -------
    float
        Exact but for rounding, which is up; also for others whose data are random.

    Raises
    ------
    ChannelError
        If the matrix or a number is none, or there are more than 2**14 data sets of the others to try.
    """
    matrix = matrix_of(channel)
    n_others, order = whole(n_honest, "n_honest", 1, _MAX_CLIENTS) - 1, order_of(alpha)
    if math.comb(len(matrix) + n_others - 1, n_others) > _MAX_DATA:
        raise ChannelError("there are too many data sets of the others to try", hint="use SumPrivacy, which bounds all")
    rows = _log_rows(matrix)
    return max(_divergence(rows, law, order) for law in _laws(rows, n_others, LogLaw(np.zeros(1), 0.0, -math.inf)))


def _laws(rows: list[LogLaw], n_others: int, law: LogLaw) -> Iterator[LogLaw]:
    """Yield the law of the others' sum for every multiset of their symbols."""
    if n_others == 0 or not rows:
        yield from [law] if n_others == 0 else []
        return
    yield from _laws(rows[1:], n_others, law)
    yield from _laws(rows, n_others - 1, convolve(law, rows[0], depth=math.inf))


def _log_rows(matrix: Floats) -> list[LogLaw]:
    with np.errstate(divide="ignore"):
        logs = np.log(matrix)
    error = UNIT * (4 + float(np.abs(logs[logs > -np.inf]).max()))
    return [LogLaw(row, error, -math.inf) for row in logs]


def _divergence(rows: list[LogLaw], law: LogLaw, alpha: float) -> float:
    """Return the largest divergence between rows that have the law of the others' sum added."""
    n_reports = len(rows[0].logs)
    logs = np.full((len(rows), len(law.logs) + n_reports - 1), -np.inf)
    terms = np.stack([row.logs for row in rows])
    for report in range(n_reports):
        here = logs[:, report : report + len(law.logs)]
        here[:] = np.logaddexp(here, terms[:, report, None] + law.logs)
    largest = float(np.abs(logs[logs > -np.inf]).max())
    error = law.error + rows[0].error + UNIT * (n_reports + 1) * 2 * (largest + 2)
    return max(0.0, float(pair_moments(logs, error, alpha).max()) / (alpha - 1)) * (1 + _ROUNDING)
