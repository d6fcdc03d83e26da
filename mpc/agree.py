"""The agreement, step by step, as one owner sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec.structs import replace

from hashcomb.errors import ProtocolError, SpecError
from hashcomb.keys import Key
from hashcomb.mpc.advice import advise
from hashcomb.mpc.arithmetic.openings import dismiss
from hashcomb.mpc.combs import Ranges, Rules, bounds_of, check_trial, noise_of, spec_of, trial_rules, with_means
from hashcomb.mpc.escrow.resharing import share_key
from hashcomb.mpc.escrow.shamir_shares import Share
from hashcomb.mpc.network import session
from hashcomb.mpc.network.parties import Party
from hashcomb.mpc.own_data import OwnData, read_table
from hashcomb.mpc.policy import NO_CHANNEL, Policy, Votes
from hashcomb.mpc.protocols.categories import agree_categories
from hashcomb.mpc.protocols.epsilon import strictest
from hashcomb.mpc.protocols.keys import confirm, joint_key, round_salt
from hashcomb.mpc.protocols.means import agree_means
from hashcomb.mpc.protocols.noisy_quantiles import agree_noisy_edges
from hashcomb.mpc.protocols.quantiles import agree_edges
from hashcomb.mpc.protocols.ranges import agree_ranges
from hashcomb.mpc.protocols.robust_ranges import agree_robust_ranges
from hashcomb.mpc.protocols.rows import count_rows
from hashcomb.mpc.protocols.votes import choose, vote
from hashcomb.mpc.transcript import TranscriptFile
from hashcomb.mpc.watch import Progress, Watch
from hashcomb.spec import Spec

if TYPE_CHECKING:
    from hashcomb.privacy import NoisyCounts

__all__ = ("Agreement", "agree")


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What the owners agreed on.

    Parameters
    ----------
    spec : Spec
        The combs and rules; its fingerprint is the same at every owner.
    key : Key
        The joint secret; every owner has it, nobody else.
    transcript : str
        Hash of all that was public, 64 hexadecimal digits; the same at every participant.
    record : TranscriptFile
        The transcript with all signatures, to keep as evidence.
    n_rows : int or None
        Number of rows of all owners, as far as the policy opens it.
    share : Share or None
        This owner's share of the Key, where the policy asks for shares.
    notes : tuple of str
        What of this owner's data it may want to look at; nobody else has seen these.
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
    record: TranscriptFile
    n_rows: int | None = None
    share: Share | None = None
    notes: tuple[str, ...] = ()
    n_rounds: int
    n_bytes: int
    seconds: dict[str, float]

    def salt(self, round_: int) -> bytes:
        """Return the salt of a round, 32 bytes, the same at every owner; see `hashcomb.mpc.protocols.round_salt`."""
        return round_salt(self.key, bytes.fromhex(self.transcript), round_)


async def agree(
    party: Party,
    table: Any,
    policy: Policy | None = None,
    *,
    depth: int = 4,
    epsilon: float | None = None,
    channel: str | None = None,
    hash: str | None = None,
    progress: Progress | None = None,
) -> Agreement:
    """Agree with the other owners on a Spec and a Key, without showing them the data.

    Parameters
    ----------
    party : Party
        This owner's seat: who takes part, and where.
    table : array_like of shape (n_rows, n_features), a mapping of columns, or a data frame
        This owner's rows; at least one. Columns are numeric but for those that the policy calls categorical.
    policy : Policy, optional
        What is public, the same at every owner.
    depth : int, optional
        This owner's vote on the depth, 1 to ``policy.depth_max``.
    epsilon : float, optional
        The largest epsilon of a value that this owner agrees to, where the policy has ``channels``.
    channel, hash : str, optional
        This owner's votes, out of ``policy.channels`` and ``policy.hashes``.
    progress : callable, optional
        Called with the name of each step of ``policy.steps`` as it begins.

    Returns
    -------
    Agreement

    Raises
    ------
    DataError, SpecError
        If the data, the votes or the policy cannot lead to a Spec; before any connection is made, but for a policy
        that does not go with what is voted.
    PartyTimeout
        If an owner does not come or answer in time.
    PartyMismatch
        If an owner has other features, another policy or version, or at the end another result.
    PartyAborted
        If an owner gives up or breaks the protocol.
    ProtocolError
        For any other reason why there is no agreement. All of these name the owner and the step.

    Notes
    -----
    Privacy: semi-honest participants, of whom fewer than half collude, learn the Spec and what the docstrings of the
    steps state (`agree_ranges`, `agree_edges`, `vote` and the others, one a file); more colluders see everything.
    Exact edges and ranges are values of records and carry no differential privacy; noisy ones do, as the report of
    the Spec says. An owner that does not follow the protocol can spoil the result, learn it first, and choose by
    invented rows which ranks of the others' values are opened. Every run opens its own list, a run that fails later
    too.

    Nothing here touches ``sys.argv``, logging or the event-loop policy of the program that calls it.
    """
    policy = policy or Policy()
    votes = Votes(depth=depth, epsilon=epsilon, channel=channel, hash=hash)
    votes.check(policy)
    if party.index not in party.owners:
        raise ProtocolError("is a helper and has no rows", party=party.me, hint="use hashcomb.mpc.help_owners")
    if policy.escrow > len(party.owners):
        raise SpecError(f"more than the {len(party.owners)} owners would have to restore the Key", path="escrow")
    run = _Run(party, policy, votes, read_table(table, policy), Watch(progress))
    run.noise = await asyncio.to_thread(noise_of, party, policy, len(run.data.numbers))  # may take seconds
    for rules in trial_rules(policy, votes):
        check_trial(run.kinds, policy, rules, policy.categories)
    agreed = await session.hold(party, policy, run.kinds, run.watch, run.all_steps)
    return replace(agreed, notes=advise(run.data, agreed.spec))


class _Run:
    """One owner's way through the steps."""

    def __init__(self, party: Party, policy: Policy, votes: Votes, data: OwnData, watch: Watch) -> None:
        self.party, self.policy, self.votes, self.data, self.watch = party, policy, votes, data, watch
        self.kinds = data.kinds(policy)
        self.exact = policy.precision == "exact"
        self.noise: NoisyCounts | None = None

    async def all_steps(self, link: Any) -> Agreement:
        """Go through all steps."""
        self.watch.start("nonces")
        await session.exchange_nonces(link)
        rules = await self._rules(link)
        n_rows = await self._rows(link)
        spec = await self._spec(link, rules)
        await dismiss(link)
        self.watch.start("key")
        await session.compare(link)
        key = await joint_key(link, link.transcript.digest())
        share = await self._share(link, spec, key)
        self.watch.start("confirm")
        link.transcript.add("result", spec.fingerprint.encode(), key.id.encode())
        await confirm(link, key, link.transcript.digest())
        record = await session.sign_all(link, spec.fingerprint, key.id)
        return Agreement(
            spec=spec,
            key=key,
            transcript=record.digest,
            record=record,
            n_rows=n_rows,
            share=share,
            n_rounds=link.n_rounds,
            n_bytes=link.n_bytes,
            seconds=self.watch.stop(),
        )

    async def _rules(self, link: Any) -> Rules:
        """Vote; and make sure, before anything of the data is opened, that there will be a Spec."""
        policy, votes = self.policy, self.votes
        self.watch.start("depth")
        rules = Rules(await vote(link, votes.depth, policy.depth_max, policy.depth_rule))
        if policy.channels or policy.hashes:
            self.watch.start("votes")
        if policy.channels:
            channel = policy.channels[await choose(link, _place(votes.channel, policy.channels), len(policy.channels))]
            rules = rules._replace(channel=channel, epsilon=await self._epsilon(link, channel))
        if policy.hashes:
            family = policy.hashes[await choose(link, _place(votes.hash, policy.hashes), len(policy.hashes))]
            rules = rules._replace(hash=family)
        check_trial(self.kinds, policy, rules, policy.categories)
        await session.compare(link)  # owners that were told different depths would lose step with each other
        return rules

    async def _epsilon(self, link: Any, channel: str) -> float | None:
        if channel == NO_CHANNEL:
            return None
        epsilon = await strictest(link, self.votes.epsilon)
        if epsilon is None:
            raise ProtocolError("no owner named an epsilon", step=link.step, hint="one of them must, with its votes")
        return epsilon

    async def _rows(self, link: Any) -> int | None:
        if self.policy.rows == "hidden":
            return None
        self.watch.start("rows")
        return await count_rows(link, self.data.n_rows, self.policy.rows)

    async def _spec(self, link: Any, rules: Rules) -> Spec:
        categories = dict(self.policy.categories)
        if self.policy.categorical:
            self.watch.start("categories")
            listed = [self.data.categories[name] for name in self.policy.categorical]
            room = (1 << rules.depth) - (self.policy.unknown == "token")
            found = await agree_categories(link, listed, room)
            categories.update(zip(self.policy.categorical, found, strict=True))
            check_trial(self.kinds, self.policy, rules, categories)  # before ranges are opened
        ranges = await self._ranges(link, rules.depth)
        spec = spec_of(self.kinds, ranges, categories, rules, self.policy, self.noise)
        if not self.policy.means or not self.data.numbers:
            return spec
        self.watch.start("means")
        bounds = bounds_of(spec)
        columns = [np.clip(values, ends[0], ends[-1]) for values, ends in zip(self.data.columns, bounds, strict=True)]
        return with_means(spec, await agree_means(link, columns, bounds, self.policy.means))

    async def _ranges(self, link: Any, depth: int) -> Ranges:
        columns, policy = self.data.columns, self.policy
        if not columns:
            return Ranges(np.empty(0), np.empty(0))
        if self.noise is not None:
            self.watch.start("edges")
            return Ranges(*await agree_noisy_edges(link, columns, 1 << depth, self.noise))
        self.watch.start("ranges")
        if policy.range_rank > 1 or policy.range_of == "owners":
            robust = policy.range_rank, policy.range_of
            lo, hi = await agree_robust_ranges(link, columns, *robust, exact=self.exact)
            columns = [np.clip(values, a, b) for values, a, b in zip(columns, lo, hi, strict=True)]
        else:
            lo, hi = await agree_ranges(link, *_ends(columns), exact=self.exact)
        if policy.edges == "uniform":
            return Ranges(lo, hi)
        self.watch.start("edges")
        return Ranges(lo, hi, await agree_edges(link, columns, lo, hi, 1 << depth, exact=self.exact))

    async def _share(self, link: Any, spec: Spec, key: Key) -> Share | None:
        if not self.policy.escrow:
            return None
        self.watch.start("escrow")
        return await share_key(link, spec, key, self.policy.escrow)


def _place(choice: str | None, choices: tuple[str, ...]) -> int | None:
    return None if choice is None else choices.index(choice)


def _ends(columns: list[Any]) -> tuple[Any, Any]:
    """Return least and largest value of every column, NaN where there is none."""
    lo = [column.min() if len(column) else np.nan for column in columns]
    hi = [column.max() if len(column) else np.nan for column in columns]
    return np.array(lo), np.array(hi)
