"""All attacks that apply, on the user's own rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.attacks.frequencies import name_by_rank
from hashcomb.attacks.joint import indicators, name_by_columns
from hashcomb.attacks.known_rows import name_by_known_rows, places_of
from hashcomb.attacks.linkage import link_rows
from hashcomb.attacks.membership import infer_membership
from hashcomb.attacks.naming import AttackResult, judge
from hashcomb.attacks.paths import MAX_LEVELS, name_paths
from hashcomb.attacks.report import AttackFigure, AttackReport, Measure
from hashcomb.attacks.scene import Scene
from hashcomb.attacks.scheme import MAX_LAW
from hashcomb.attacks.xxh3_seed import open_column, open_column_by_hints
from hashcomb.channels import reported_features
from hashcomb.privacy.release import added_up
from hashcomb.spec import Spec

__all__ = ("run_attacks",)

MAX_ROWS = 4_000
MAX_JOINT = 2_000_000  # tokens times leaves times columns: what the joint attack goes through, column by column
MAX_LINK_ROWS = 1_000
MAX_LINK_TOKENS = 2_048
N_KNOWN = 10
N_COUNTED = 100
N_GAMES = 1_000
_OTHERS = "the tokens, the edges and other rows"


def run_attacks(
    spec: Spec,
    table: Any,
    labels: ArrayLike | None = None,
    *,
    seed: int | None = None,
    max_rows: int = MAX_ROWS,
) -> AttackReport:
    """Attack one's own rows, encoded as a Spec says, and report what it gives beside guessing.

    Half of the rows (always the same) are encoded under a fresh Key, with the Spec's channel and fresh
    randomness if it has one; the attacker knows the other half, the Spec and the labels, and not the Key. No
    figure depends on the Key.

    Parameters
    ----------
    spec : Spec
        What would be encoded.
    table : array_like of shape (n_rows, n_features), a mapping of columns, or a data frame
        As for `HashComb.encode`; at least 4 rows.
    labels : array_like, shape (n_rows,), optional
        Labels that would be sent beside the tokens.
    seed : int, optional
        Makes the channel's randomness, and so the report, repeatable.
    max_rows : int, optional
        Take a random choice of so many rows, always the same.

    Returns
    -------
    AttackReport

    Raises
    ------
    DataError
        If the table does not fit the Spec, or there are too few rows.

    Notes
    -----
    Privacy: the report holds statistics of the rows. Whoever may not see the rows should not see it.

    Examples
    --------
    >>> import numpy as np
    >>> from hashcomb import Spec, Uniform
    >>> spec = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4)
    >>> ages = np.random.default_rng(0).normal(40, 12, (400, 1))
    >>> report = run_attacks(spec, ages, seed=0)
    >>> report.figures[0].attack, report.figures[0].figure > 2 * report.figures[0].baseline
    ('frequencies', True)
    """
    run = _Run(Scene(spec, table, labels, seed, max_rows))
    run.all_attacks()
    return AttackReport(
        fingerprint=spec.fingerprint,
        randomized=run.scene.channels is not None,
        n_features=len(spec.features),
        n_target=len(run.scene.target_leaves),
        n_auxiliary=len(run.scene.auxiliary_leaves),
        figures=tuple(run.figures),
        notes=tuple(run.notes),
    )


class _Run:
    """One attack after the other on a scene, and what came of it.

    Parameters
    ----------
    scene : Scene
        What is attacked.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.figures: list[AttackFigure] = []
        self.notes: list[str] = []
        self._tokens = scene.tokens[..., -1]
        self._hints: NDArray[np.int64] | None = None  # what the best attack so far names

    def all_attacks(self) -> None:
        """Run the attacks that apply."""
        scene = self.scene
        n_taken = len(scene.target_leaves) + len(scene.auxiliary_leaves)
        if n_taken < scene.n_rows:
            self.notes.append(f"{n_taken} of {scene.n_rows} rows were taken at random.")
        if scene.laws is None:
            self.notes.append(f"Attacks by what the channel does were left out: it has more than {MAX_LAW} symbols.")
        else:
            self._frequencies()
            self._columns()
            self._paths()
        self._known_rows()
        self._linkage()
        self._xxh3()
        if scene.laws is not None:
            self._membership(scene.laws)

    # ------------------------------------------------------------------ attacks that name leaves
    def _frequencies(self) -> None:
        self._hints = name_by_rank(self._tokens, self.scene.auxiliary_reports)
        self._add_naming("frequencies", _OTHERS, self.scene.judge_reports(self._hints))

    def _columns(self) -> None:
        n, known = self._features_to_match(), self.scene.auxiliary_reports
        if n == 0:
            self.notes.append("The attack by columns together was left out: there are too many leaves to match.")
            return
        if n < known.shape[1]:
            self.notes.append(f"The attack by columns together took the first {n} features, for time.")
        y, known_y = self.scene.labels or (None, None)
        beside = indicators(y, known_y, len(self._tokens), len(known))
        named = name_by_columns(self._tokens[:, :n], known[:, :n], *beside)
        self._hints = np.column_stack([named, name_by_rank(self._tokens, known)[:, n:]])
        has = _OTHERS + ("" if self.scene.labels is None else ", and all labels")
        self._add_naming("columns together", has, self.scene.judge_reports(named))

    def _features_to_match(self) -> int:
        """Return how many of the first features the joint attack can take in reasonable time."""
        known = self.scene.auxiliary_reports
        n_tokens = [len(np.unique(column)) for column in self._tokens.T]
        sizes = [n * max(n, 1 + int(column.max())) for n, column in zip(n_tokens, known.T, strict=True)]
        return max((n for n in range(1, len(sizes) + 1) if n * max(sizes[:n]) <= MAX_JOINT), default=0)

    def _paths(self) -> None:
        if self.scene.spec.tokens != "comb":
            return
        if self.scene.spec.depth > MAX_LEVELS:
            self.notes.append(f"The attack by paths was left out: combs are deeper than {MAX_LEVELS} levels.")
            return
        self._hints = name_paths(self.scene.tokens, self.scene.auxiliary_reports)
        has = "the tokens of all levels, the edges and other rows"
        self._add_naming("paths", has, self.scene.judge_reports(self._hints))

    def _known_rows(self) -> None:
        scene, n_known = self.scene, min(N_KNOWN, len(self.scene.target_leaves) // 2)
        known, true = np.split(scene.target_nodes, [n_known])
        guess, opened = name_by_known_rows(self._tokens, known)
        places = places_of(guess, opened, known, scene.n_nodes)
        result = judge(guess, scene.auxiliary_nodes, true, scene.n_nodes, places)
        seen = f"{_percent(opened.mean())} of all other tokens occur in one of these rows."
        self._add_naming("known rows", f"the tokens and the values of {n_known} of the rows", result, seen)

    def _add_naming(self, attack: str, has: str, result: AttackResult, further: str = "") -> None:
        """Add the two figures of an attack that names leaves."""
        named, guessed = np.array(result.recovered), np.array(result.guessed)
        most = int((named - guessed).argmax())
        meaning = [f"It names {_percent(named.mean())} of the leaves; naming the most frequent one always, "]
        meaning[0] += f"{_percent(guessed.mean())}."
        if named[most] > guessed[most]:
            name = self.scene.spec.names[most]
            meaning.append(f"It gains most on {name!r}: {_percent(named[most])} instead of {_percent(guessed[most])}.")
        said = " ".join([*meaning, further]).strip()
        self._add(attack, has, "leaves named", named.mean(), guessed.mean(), said)
        said = (
            "The place in [0, 1] of the leaf that it names has this mean squared error; the mean place has the other."
        )
        self._add(attack, has, "error of places", np.mean(result.error), np.mean(result.spread), said)

    # ------------------------------------------------------------------ other attacks
    def _linkage(self) -> None:
        scene, n_features = self.scene, self._features_to_link()
        if n_features < len(scene.spec.features):
            self.notes.append(f"Rows were joined by the first {n_features} features, for time.")
        if len(scene.target_leaves) > MAX_LINK_ROWS:
            self.notes.append(f"{MAX_LINK_ROWS} of the attacked rows were joined, for time.")
        self._link("another round", scene.report(scene.target_leaves), n_features)
        if scene.channels is not None:  # memoized: a record gives the same reports again
            self._link("another round, memoized", scene.target_reports, n_features)

    def _features_to_link(self) -> int:
        sizes = np.cumsum([len(np.unique(column)) for column in self._tokens[:MAX_LINK_ROWS].T])
        return max(1, int((sizes <= MAX_LINK_TOKENS).sum()))

    def _link(self, attack: str, reports: NDArray[np.int32], n_features: int) -> None:
        rows, y = slice(MAX_LINK_ROWS), self.scene.labels
        second = self.scene.encode(reports[rows], round=1)[..., -1]
        labels = None if y is None else (y[0][rows], y[0][rows])
        result = link_rows(self._tokens[rows, :n_features], second[:, :n_features], labels=labels)
        has = "the tokens of the same records in two rounds" + ("" if labels is None else ", and all labels")
        meaning = f"It joins {_percent(result.joined)} of {result.n_rows} rows to the same record's row in the other "
        meaning += f"round, though no token occurs in both; guessing joins {_percent(result.guessed)}."
        self._add(attack, has, "rows joined", result.joined, result.guessed, meaning)

    def _xxh3(self) -> None:
        scene, known = self.scene, self.scene.auxiliary_reports
        if scene.spec.hash != "xxh3":
            return
        if scene.spec.token_bits == 32:
            self.notes.append(
                "xxh3, 32-bit tokens: two known values and 2**32 trials open a feature (search_seeds_32)."
            )
            return
        true, columns = scene.target_reports >> scene.shift, list(enumerate(self._tokens.T))
        guessed = np.mean([np.bincount(known[:, j]).argmax() == true[:, j] for j, _ in columns])
        read = np.mean([open_column(column, scene.level, true[0, j]) == true[:, j] for j, column in columns])
        meaning = f"One known row gives the seed of every feature, and with them {_percent(read)} of all tokens."
        self._add("seeds of xxh3", "the tokens and one known row", "tokens read", read, guessed, meaning)
        if self._hints is not None:
            hints = self._hints
            named = [open_column_by_hints(column, scene.level, hints[:, j]) == true[:, j] for j, column in columns]
            meaning = f"With what other attacks name for hints, {_percent(np.mean(named))} of all tokens."
            self._add("xxh3, no known row", _OTHERS, "tokens read", np.mean(named), guessed, meaning)

    def _membership(self, laws: list[Any]) -> None:
        scene = self.scene
        epsilon, n_counted = _record_epsilon(scene), min(N_COUNTED, len(scene.target_leaves) // 2)
        result = infer_membership(
            scene.symbols(scene.target_leaves),
            scene.symbols(scene.auxiliary_leaves),
            scene.report_symbols,
            laws,
            n_rows=n_counted,
            n_trials=N_GAMES,
            epsilon=epsilon,
            seed=int(scene.rng.integers(1 << 63)),
        )
        meaning = f"From counts over {n_counted} rows it tells a counted record from another: the rates of right and "
        meaning += f"wrong alarms are {result.advantage:.2f} apart, and the counted one scores higher in "
        meaning += f"{_percent(result.auc)} of pairs (guessing: 0 and 50 %)."
        has = "counts of tokens, a record, what its tokens stand for, and other rows"
        bound = result.bound if math.isfinite(epsilon) else None
        self._add("membership", has, "advantage", result.advantage, 0.0, meaning, bound)

    def _add(
        self, attack: str, has: str, measure: Measure, figure: Any, baseline: Any, said: str, bound: float | None = None
    ) -> None:
        one = AttackFigure(
            attack=attack,
            has=has,
            measure=measure,
            figure=float(figure),
            baseline=float(baseline),
            meaning=said,
            bound=bound,
        )
        self.figures.append(one)


def _record_epsilon(scene: Scene) -> float:
    """Return the epsilon of a whole record: the sum over the features that it reports, at worst the largest ones."""
    if scene.channels is None:
        return math.inf
    return added_up([channel.epsilon for channel in scene.channels], reported_features(scene.spec))


def _percent(share: Any) -> str:
    return f"{100 * float(share):.1f} %"
