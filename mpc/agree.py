"""The agreement, step by step, as one owner sees it."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hashcomb.codec import check_usable
from hashcomb.columns import named_columns, numbers_of, refuse_where
from hashcomb.errors import DataError, PartyAborted
from hashcomb.keys import Key
from hashcomb.mpc._messages import Hello
from hashcomb.mpc._runtime import connect
from hashcomb.mpc.keys import confirm, joint_key
from hashcomb.mpc.parties import Party
from hashcomb.mpc.policy import Policy
from hashcomb.mpc.quantiles import agree_edges
from hashcomb.mpc.ranges import agree_ranges
from hashcomb.mpc.transcript import Transcript
from hashcomb.mpc.votes import vote
from hashcomb.spec import Feature, Quantile, Spec, Uniform, can_be_cut

__all__ = ("STEPS", "Agreement", "agree")

Progress = Callable[[str], None]

STEPS = ("connect", "nonces", "depth", "ranges", "edges", "key", "confirm")
_NONCE = 32
_TOO_LARGE = 2.0**1000  # leaves room to round outward and to add a margin


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What the owners agreed on.

    Parameters
    ----------
    spec : Spec
        The combs and rules; its fingerprint is the same at every owner.
    key : Key
        The joint secret; every owner has it, nobody else.
    transcript : str
        SHA-256 of all that was public, 64 hexadecimal digits; the same at every owner.
    n_rounds : int
        Rounds of messages.
    n_bytes : int
        Bytes that this owner sent.
    seconds : dict of str to float
        Wall time of each step.
    """

    spec: Spec
    key: Key
    transcript: str
    n_rounds: int
    n_bytes: int
    seconds: dict[str, float]


async def agree(
    party: Party, table: Any, policy: Policy | None = None, *, depth: int = 4, progress: Progress | None = None
) -> Agreement:
    """Agree with the other owners on a Spec and a Key, without showing them the data.

    Parameters
    ----------
    party : Party
        This owner's seat: who takes part, and where.
    table : array_like of shape (n_rows, n_features), a mapping of columns, or a data frame
        This owner's rows, numeric columns only; at least one row.
    policy : Policy, optional
        What is public, the same at every owner.
    depth : int, optional
        This owner's vote on the depth, 1 to ``policy.depth_max``.
    progress : callable, optional
        Called with the name of each step of `STEPS` as it begins.

    Returns
    -------
    Agreement

    Raises
    ------
    DataError, SpecError
        If the data or the policy cannot lead to a Spec; before any connection is made, but for a policy that
        does not go with the depth that is voted.
    PartyTimeout
        If an owner does not come or answer in time.
    PartyMismatch
        If an owner has other features, another policy, or at the end another result.
    PartyAborted
        If an owner gives up or breaks the protocol.
    ProtocolError
        For any other reason why there is no agreement. All of these name the owner and the step.

    Notes
    -----
    Privacy: semi-honest owners, of whom fewer than half collude, learn the Spec and what the docstrings of
    `agree_ranges`, `agree_edges` and `vote` state; more colluders see everything. Edges and exact ranges are
    values of records and carry no differential privacy. An owner that does not follow the protocol can spoil
    the result, learn it first, and choose by invented rows which ranks of the others' values are opened. Every
    run opens its own list, a run that fails later too.

    Nothing here touches ``sys.argv``, logging or the event-loop policy of the program that calls it.
    """
    policy = policy or Policy()
    names, columns = _columns(table, policy)
    if isinstance(depth, bool) or not isinstance(depth, int) or not 1 <= depth <= policy.depth_max:
        raise DataError(f"the vote on the depth must be a whole number from 1 to {policy.depth_max}")
    features = hashlib.sha256(msgspec.json.encode(names)).digest()
    session = hashlib.sha256(b"hashcomb session 1\0" + party.digest + policy.digest + features).digest()
    watch = _Watch(progress)
    watch.start("connect")
    # At this owner's vote, or the least depth that has the level which is to be encoded.
    _trial(names, policy, min(policy.depth_max, max(depth, policy.tokens if isinstance(policy.tokens, int) else 1)))
    link = await connect(party, Hello(session=session, n_features=len(names), features=features))
    try:
        agreement: Agreement = await link.within(
            _run(link, names, columns, policy, depth, session, watch), party.deadline_s
        )
    except BaseException as error:
        await link.close(error)
        raise
    await link.close()
    return agreement


async def _run(
    link: Any,
    names: list[str],
    columns: list[NDArray[np.float64]],
    policy: Policy,
    depth: int,
    session: bytes,
    watch: _Watch,
) -> Agreement:
    def step(name: str) -> None:
        link.step = name
        watch.start(name)

    transcript = Transcript(session)
    step("nonces")
    transcript.add("nonces", *await _nonces(link))
    step("depth")
    agreed_depth = await vote(link, depth, policy.depth_max, policy.depth_rule)
    _trial(names, policy, agreed_depth)  # before anything of the data is opened
    step("ranges")
    exact = policy.precision == "exact"
    lo, hi = await agree_ranges(link, *_ends(columns), exact=exact)
    step("edges")
    edges = None
    if policy.edges == "quantile":
        edges = await agree_edges(link, columns, lo, hi, 1 << agreed_depth, exact=exact)
    spec = _spec(names, lo, hi, edges, agreed_depth, policy)
    step("key")
    key, commitments = await joint_key(link, transcript.digest())
    step("confirm")
    transcript.add("result", commitments, spec.canonical_bytes())
    await confirm(link, key, transcript.digest())
    return Agreement(
        spec=spec,
        key=key,
        transcript=transcript.digest().hex(),
        n_rounds=link.n_rounds,
        n_bytes=link.n_bytes,
        seconds=watch.stop(),
    )


async def _nonces(link: Any) -> list[bytes]:
    """Exchange random bytes, so that no two runs have one transcript and an old one cannot be replayed."""
    nonces: list[bytes] = await link.exchange(secrets.token_bytes(_NONCE))
    for owner, nonce in enumerate(nonces):
        if len(nonce) != _NONCE:
            raise PartyAborted("sent a nonce of another length", party=link.names[owner], step=link.step)
    return nonces


# ---------------------------------------------------------------------- this owner's data
def _columns(table: Any, policy: Policy) -> tuple[list[str], list[NDArray[np.float64]]]:
    """Return names and values of all columns, missing values left out."""
    names, listed = named_columns(table)
    values = [numbers_of(column, name).astype(np.float64) for column, name in zip(listed, names, strict=True)]
    if not values or len(values[0]) == 0:
        raise DataError("there are no rows or no columns to agree on")
    rounded = policy.precision == "grid" or policy.margin > 0
    for name, column in zip(names, values, strict=True):
        refuse_where(np.isinf(column), name, "an infinity, which has no place in a range", "replace or drop the row")
        if rounded:
            refuse_where(
                np.abs(column) > _TOO_LARGE, name, "a number beyond 2**1000", "is it a code for a missing value?"
            )
        if policy.missing == "error":
            refuse_where(np.isnan(column), name, "a missing value (NaN)", "fill it, or agree on missing='token'")
    return names, [column[~np.isnan(column)] for column in values]


def _ends(columns: list[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return least and largest value of every column, NaN where there is none."""
    lo = [column.min() if len(column) else np.nan for column in columns]
    hi = [column.max() if len(column) else np.nan for column in columns]
    return np.array(lo), np.array(hi)


# ---------------------------------------------------------------------- the result
def _trial(names: list[str], policy: Policy, depth: int) -> None:
    """Raise `SpecError` if these names and this policy make no Spec of this depth, whatever the data."""
    none = np.zeros(len(names))
    check_usable(_spec(names, none, none + 1, None, depth, policy))


def _spec(
    names: list[str],
    lo: NDArray[np.float64],
    hi: NDArray[np.float64],
    edges: NDArray[np.float64] | None,
    depth: int,
    policy: Policy,
) -> Spec:
    pad = policy.margin * (hi - lo) if policy.margin else 0.0
    ranges = zip(names, lo - pad, hi + pad, strict=True)
    features: list[Feature]
    if edges is not None:
        features = [
            Quantile(name=name, lo=a, hi=b, edges=tuple(row)) for (name, a, b), row in zip(ranges, edges, strict=True)
        ]
    else:
        # A feature that is constant, or nearly so, has no width to cut; it gets a comb with a single leaf in use.
        features = [
            Uniform(name=name, lo=a, hi=b)
            if can_be_cut(float(a), float(b), 1 << depth)
            else Quantile(name=name, lo=a, hi=b, edges=(b,) * ((1 << depth) - 1))
            for name, a, b in ranges
        ]
    return Spec(
        features=tuple(features),
        depth=depth,
        outside=policy.outside,
        missing=policy.missing,
        hash=policy.hash,
        token_bits=policy.token_bits,
        tokens=policy.tokens,
        channel=policy.channel,
    )


class _Watch:
    """Tells the caller which step begins, and how long each took."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress or (lambda _: None)
        self._seconds: dict[str, float] = {}
        self._step, self._since = "", 0.0

    def start(self, step: str) -> None:
        self.stop()
        self._step, self._since = step, time.perf_counter()
        self._progress(step)

    def stop(self) -> dict[str, float]:
        if self._step:
            self._seconds[self._step] = time.perf_counter() - self._since
            self._step = ""
        return self._seconds
