"""One data set under one encoding, attacked in every way: the figures of a line of the table."""

from __future__ import annotations

import time
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from hashcomb.attacks import AttackReport, link_rows, reconstruct_rows, run_attacks
from hashcomb.attacks.naming import by_frequency
from hashcomb.attacks.run import MAX_LINK_ROWS, MAX_LINK_TOKENS
from hashcomb.attacks.scene import Scene, halves
from hashcomb.errors import DataError
from hashcomb.evidence.attacks_model import on_raw_rows, on_tokens
from hashcomb.evidence.attacks_plan import ENCODINGS, VERSION, AttackCell, AttackKey
from hashcomb.evidence.data import DataSet

__all__ = ("Finding", "attack_cell")

MAX_ROWS = 2_000  # half of them are attacked, the attacker has the others

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What all attacks achieve on one data set under one encoding, as it stands in a line of the file.

    Attributes
    ----------
    data, rows_sha : str
        Name of the data set, and what tells its rows from others.
    encoding, seed
        With `data`, what tells this line from others.
    epsilon_feature : float or None
        Epsilon of one value, where there is one.
    n_features, n_target, n_auxiliary : int
        Features; rows attacked; rows that the attacker has.
    named_guessed : float
        Share of leaves named by always naming the one that is most frequent in the attacker's rows, mean over features.
    named_guessed_by_label : float
        The same by naming the one that is most frequent in the attacker's rows of the same label.
    named_frequencies, named_columns, named_paths, named_known_rows : float or None
        The same by frequencies, by columns together, by paths (where there are any), and from ten known rows.
    named_with_key : float or None
        The same for a holder of the Key, who reads each report and names the likeliest leaf behind it. No attack that
        takes a column by itself does better, but for chance.
    joined_guessed, joined_round, joined_memoized : float or None
        Share of rows joined to the same record's row: at random, in another round, and in another round with a memo
        key, where there is a channel.
    joined_dataset, joined_dataset_guessed : float
        Share of common rows joined between two data sets of their own salts that have half of their rows in common,
        and the same at random.
    rebuilt_error : float
        Mean squared error of rebuilt values over that of always guessing the mean; median over features.
    rebuilt_named, rebuilt_named_tenth : float
        Share of its features named rightly in the median rebuilt row, and in a tenth of the rows at least.
    rebuilt_named_tenth_guessed : float
        The latter by always naming the most frequent leaves.
    rebuilt_whole, rebuilt_whole_guessed : float
        Share of rows with all features named rightly, and the same by always naming the most frequent leaves.
    recognized, recognized_guessed : float
        Share of rebuilt rows that are nearest to their own true row, and the same for guessing.
    counted, counted_bound : float
        Advantage in telling a counted record from another by counts over 100 rows, and what epsilon bounds it by.
    trained, trained_raw : float
        Advantage in telling a record that a random forest was trained on by its loss: on tokens, and on raw rows.
    seconds : float
        Time that it took.
    version : str
        Of the definitions behind the names.
    """

    current: ClassVar[str] = VERSION

    data: str
    rows_sha: str
    encoding: str
    seed: int
    epsilon_feature: float | None
    n_features: int
    n_target: int
    n_auxiliary: int
    named_guessed: float
    named_guessed_by_label: float
    named_frequencies: float | None
    named_columns: float | None
    named_paths: float | None
    named_known_rows: float
    named_with_key: float
    joined_guessed: float
    joined_round: float
    joined_memoized: float | None
    joined_dataset: float
    joined_dataset_guessed: float
    rebuilt_error: float
    rebuilt_named: float
    rebuilt_named_tenth: float
    rebuilt_named_tenth_guessed: float
    rebuilt_whole: float
    rebuilt_whole_guessed: float
    recognized: float
    recognized_guessed: float
    counted: float
    counted_bound: float
    trained: float
    trained_raw: float
    seconds: float
    version: str

    @property
    def key(self) -> AttackKey:
        """What tells a line from all others."""
        return (self.data, self.seed, self.encoding)


class _Drawn(NamedTuple):
    """Rows of a data set for one seed, and which of them are attacked and which the attacker has."""

    X: Floats
    y: Ints
    row: Ints
    target: Ints
    auxiliary: Ints


def attack_cell(data: DataSet, cell: AttackCell, on_raw: dict[tuple[str, int], float]) -> Finding:
    """Attack a data set as a cell says.

    Parameters
    ----------
    data : DataSet
        All rows.
    cell : AttackCell
        What is attacked; its `data` names these rows.
    on_raw : dict of (data, seed) to float
        What membership in a model of raw rows gave: the same for every encoding, and so kept here.

    Raises
    ------
    DataError
        If the data set has too few rows to attack some with the others.

    Notes
    -----
    Privacy: figures are statistics of the rows. Whoever may not see the rows should not see them.
    """
    begun, encoding = time.monotonic(), ENCODINGS[cell.encoding]
    drawn = _draw(data, cell.seed)
    scene = Scene(encoding.spec(drawn.X[drawn.target]), drawn.X, drawn.y, cell.seed, MAX_ROWS)
    trained, members, others = _told_apart(drawn)
    if (cell.data, cell.seed) not in on_raw:
        rows = drawn.target[trained], drawn.target[members], drawn.auxiliary[others]
        on_raw[cell.data, cell.seed] = on_raw_rows(drawn.X, drawn.y, *rows, cell.seed)
    return Finding(
        data=data.name,
        rows_sha=data.sha,
        encoding=cell.encoding,
        seed=cell.seed,
        epsilon_feature=encoding.epsilon,
        n_features=data.X.shape[1],
        n_target=len(drawn.target),
        n_auxiliary=len(drawn.auxiliary),
        **_of_report(run_attacks(scene.spec, drawn.X, drawn.y, seed=cell.seed)),
        **_rebuilt(drawn, scene, cell.seed),
        named_with_key=_with_key(scene),
        named_guessed_by_label=_guessed_by_label(scene),
        **_joined_over_data_sets(scene),
        trained=on_tokens(scene, trained, members, others, cell.seed),
        trained_raw=on_raw[cell.data, cell.seed],
        seconds=round(time.monotonic() - begun, 2),
        version=VERSION,
    )


def _draw(data: DataSet, seed: int) -> _Drawn:
    chosen = np.random.default_rng(seed).permutation(len(data.X))[:MAX_ROWS]
    return _Drawn(data.X[chosen], data.y[chosen], data.row[chosen], *halves(len(chosen), MAX_ROWS))


def _of_report(report: AttackReport) -> dict[str, Any]:
    """Take the figures of the report on attacks."""
    found = {(one.attack, one.measure): one for one in report.figures}

    def figure(attack: str, measure: Any) -> float | None:
        one = found.get((attack, measure))
        return None if one is None else one.figure

    member = found["membership", "advantage"]
    return {
        "named_guessed": found["frequencies", "leaves named"].baseline,
        "named_frequencies": figure("frequencies", "leaves named"),
        "named_columns": figure("columns together", "leaves named"),
        "named_paths": figure("paths", "leaves named"),
        "named_known_rows": figure("known rows", "leaves named"),
        "joined_guessed": found["another round", "rows joined"].baseline,
        "joined_round": figure("another round", "rows joined"),
        "joined_memoized": figure("another round, memoized", "rows joined"),
        "counted": member.figure,
        "counted_bound": 1.0 if member.bound is None else member.bound,
    }


def _with_key(scene: Scene) -> float:
    result = scene.judge_reports(scene.target_reports.astype(np.int64) >> scene.shift)
    return float(np.mean(result.recovered))


def _guessed_by_label(scene: Scene) -> float:
    """Name the leaf that is most frequent in the attacker's rows of the same label, or in all if there are none."""
    y, other_y = scene.labels or (np.zeros(len(scene.target_nodes)), np.zeros(len(scene.auxiliary_nodes)))
    right = []
    for label in np.unique(y):
        known = scene.auxiliary_nodes[other_y == label] if label in other_y else scene.auxiliary_nodes
        right.append(scene.target_nodes[y == label] == [by_frequency(column)[0] for column in known.T])
    return float(np.concatenate(right).mean())


def _rebuilt(drawn: _Drawn, scene: Scene, seed: int) -> dict[str, float]:
    tokens = scene.tokens if scene.spec.tokens == "comb" else scene.tokens[..., -1]
    result = reconstruct_rows(
        tokens,
        drawn.X[drawn.auxiliary],
        drawn.X[drawn.target],
        scene.spec,
        labels=drawn.y[drawn.target],
        auxiliary_labels=drawn.y[drawn.auxiliary],
        seed=seed,
    )
    return {
        "rebuilt_error": float(np.median(result.error)),
        "rebuilt_named": result.named_median,
        "rebuilt_named_tenth": result.named_best_tenth,
        "rebuilt_named_tenth_guessed": result.named_best_tenth_guessed,
        "rebuilt_whole": result.whole,
        "rebuilt_whole_guessed": result.whole_guessed,
        "recognized": result.recognized,
        "recognized_guessed": result.recognized_guessed,
    }


def _told_apart(drawn: _Drawn) -> tuple[Mask, Mask, Mask]:
    """Return target rows to train on, those of them that are asked about, and auxiliary rows that are: each once.

    Not asked about is what is in both halves. Records that repeat are in both more often: were they members, whoever
    tells the frequent from the rare would tell members from others without any model.
    """
    target, auxiliary = drawn.row[drawn.target], drawn.row[drawn.auxiliary]
    trained = _first_of_each(target)
    members = trained & ~np.isin(target, auxiliary)
    others = _first_of_each(auxiliary) & ~np.isin(auxiliary, target)
    if not members.any() or not others.any():
        raise DataError("there are too few distinct rows to tell members from others")
    return trained, members, others


def _first_of_each(row: Ints) -> Mask:
    first = np.zeros(len(row), dtype=bool)
    first[np.unique(row, return_index=True)[1]] = True
    return first


def _joined_over_data_sets(scene: Scene) -> dict[str, float]:
    """Join two data sets under one Key and their own salts, with half of the rows of each in the other."""
    third = min(len(scene.target_leaves), MAX_LINK_ROWS * 3 // 2) // 3
    one, other = slice(2 * third), slice(third, 3 * third)
    tokens = scene.tokens[one][..., -1]
    others = scene.encode(scene.report(scene.target_leaves[other]), dataset="another")[..., -1]
    n_tokens = np.cumsum([max(len(np.unique(a)), len(np.unique(b))) for a, b in zip(tokens.T, others.T, strict=True)])
    n = max(1, int((n_tokens <= MAX_LINK_TOKENS).sum()))
    partners = np.arange(2 * third) - third
    y = None if scene.labels is None else (scene.labels[0][one], scene.labels[0][other])
    result = link_rows(tokens[:, :n], others[:, :n], partners=np.maximum(partners, -1), labels=y)
    return {"joined_dataset": 2 * result.joined, "joined_dataset_guessed": result.guessed}
