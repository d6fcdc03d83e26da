"""Data sets to measure on, and how their rows are divided."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hashcomb.errors import DataError
from hashcomb.evidence import data as sets
from hashcomb.evidence.data import DataSet, bundled, from_folder, from_openml, load_all
from hashcomb.evidence.splits import seeds_of, strangers, trained_and_tested


def written(folder: Path, n_owners: int = 4, shift: float = 0.0) -> Path:
    """Write files of owners, with rows that repeat at an owner and between owners."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    both = rng.integers(0, 5, size=(30, 2)) + shift
    for owner in range(n_owners):
        X = np.concatenate([both[:10], rng.integers(0, 9, size=(40, 2)) + shift])
        lines = [f"{a},{b},{'yes' if a > b else 'no'}" for a, b in X.tolist()]
        (folder / f"owner-{owner}.csv").write_text("\n".join(["a,b,label", *lines, *lines[:5]]) + "\n")
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> DataSet:
    """Return rows of four owners."""
    return from_folder(str(written(tmp_path / "trial")))


def test_a_folder(rows: DataSet) -> None:
    """It is called like the folder, its labels are numbers, and each file is an owner."""
    assert rows.name == "trial"
    assert rows.X.shape == (4 * 55, 2)
    assert set(rows.y) == {0, 1}
    assert np.bincount(rows.owner).tolist() == [55] * 4


def test_the_hash_tells_rows_labels_and_owners(rows: DataSet, tmp_path: Path) -> None:
    """The same rows have the same hash; one value, one label or one owner more changes it."""
    again = from_folder(str(written(tmp_path / "again")))
    assert again.sha == rows.sha
    assert from_folder(str(written(tmp_path / "moved", shift=1.0))).sha != rows.sha
    path = tmp_path / "again" / "owner-0.csv"
    text = path.read_text()
    swapped = text.replace("yes", "??", 1).replace("no", "yes", 1).replace("??", "no", 1)
    path.write_text(swapped)
    assert from_folder(str(tmp_path / "again")).sha != rows.sha
    path.rename(tmp_path / "again" / "owner-9.csv")
    (tmp_path / "again" / "owner-9.csv").write_text(text)
    assert from_folder(str(tmp_path / "again")).sha != rows.sha


def test_bundled_sets_have_ten_owners() -> None:
    """The rows of a bundled set are dealt to ten owners, the same way each time."""
    first, again = bundled("digits"), bundled("digits")
    assert len(set(first.owner)) == 10
    assert first.sha == again.sha
    assert set(first.y) == set(range(10))


@pytest.mark.parametrize("split", ["random", "owner"])
def test_tested_rows_are_new_and_distinct(rows: DataSet, split: str) -> None:
    """No tested row has the features of one that is trained on, or of another one that is tested."""
    for seed in range(5):
        train, test = trained_and_tested(rows, split, seed)
        tested = [tuple(row) for row in rows.X[test].tolist()]
        trained = {tuple(row) for row in rows.X[train].tolist()}
        assert tested
        assert len(set(tested)) == len(tested)
        assert not trained & set(tested)


def test_a_split_by_owner_trains_on_no_row_of_strangers(rows: DataSet) -> None:
    """All rows of the owners who are tested are left out, and no others."""
    train, test = trained_and_tested(rows, "owner", 1)
    out = strangers(4, 1)
    assert set(rows.owner[~train]) == out
    assert set(rows.owner[test]) <= out


def test_splits_differ_and_repeat(rows: DataSet) -> None:
    """Another seed divides otherwise, the same seed alike."""
    first, other, again = (trained_and_tested(rows, "random", seed)[1] for seed in (0, 1, 0))
    assert (first == again).all()
    assert (first != other).any()


def test_few_owners_are_not_counted_twice(rows: DataSet) -> None:
    """Four owners can be divided in four ways, however many seeds there are; splits at random in as many as asked."""
    seeds = seeds_of(rows, "owner", 40)
    assert len({strangers(4, seed) for seed in seeds}) == len(seeds) == 4
    assert seeds_of(rows, "random", 40) == list(range(40))


def test_more_seeds_keep_the_first(rows: DataSet) -> None:
    """What was measured with fewer seeds is part of what is asked for with more."""
    assert set(seeds_of(rows, "owner", 3)) <= set(seeds_of(rows, "owner", 9))


def test_owners_with_the_same_rows_leave_nothing_to_test(tmp_path: Path) -> None:
    """A split that has no new row is refused by its name."""
    written(tmp_path / "same", 3)
    text = (tmp_path / "same" / "owner-0.csv").read_text()
    for owner in (1, 2):
        (tmp_path / "same" / f"owner-{owner}.csv").write_text(text)
    with pytest.raises(DataError, match=r"split 'owner' with seed 0 of 'same' leaves no new row"):
        trained_and_tested(from_folder(str(tmp_path / "same")), "owner", 0)


def test_two_sets_of_one_name(tmp_path: Path) -> None:
    """Folders that are called alike would be mixed up, and are refused."""
    folders = [str(written(tmp_path / place / "trial")) for place in ("a", "b")]
    with pytest.raises(DataError, match="two data sets are called 'trial'"):
        load_all([], folders, [])


@pytest.mark.parametrize("name", ["a|b", "a\nb", " "])
def test_a_name_that_no_table_can_hold(name: str, tmp_path: Path) -> None:
    """A folder whose name would break lines of the file, or columns of a table, is refused at once."""
    folder = written(tmp_path / name)
    with pytest.raises(DataError, match="cannot be called so in a table"):
        load_all([], [str(folder)], [])


def test_an_unknown_bundled_set() -> None:
    """The error says what there is."""
    with pytest.raises(DataError, match="bundled are breast_cancer, digits"):
        bundled("titanic")


def test_a_label_that_is_no_class(tmp_path: Path) -> None:
    """A label with a different value in every row is refused, and none of its values is shown."""
    folder = tmp_path / "heights"
    folder.mkdir()
    for owner in range(3):
        lines = [f"{i},{i + 0.12345 + 100 * owner}" for i in range(30)]
        (folder / f"owner-{owner}.csv").write_text("\n".join(["a,label", *lines]) + "\n")
    with pytest.raises(DataError, match="the label of 'heights' has 90 different values") as refused:
        from_folder(str(folder))
    assert "12345" not in str(refused.value)


# ---------------------------------------------------------------------- OpenML
def test_openml_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nobody answers, the error is ours, and says what else can be done."""
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the port on which nobody listens
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(DataError, match=r"OpenML's 'spambase' could not be fetched .* pass --data"):
        from_openml("spambase")


def answer(X: list[list[float]], categories: dict[str, list[str]], n_rows: int = 4) -> SimpleNamespace:
    """Return what scikit-learn makes of an answer of OpenML."""
    y = np.array(["a", "b"] * (n_rows // 2), dtype=object)
    return SimpleNamespace(data=np.array(X), feature_names=["x", "color"], categories=categories, target=y)


def test_openml_takes_columns_of_numbers() -> None:
    """A column of categories, whose numbers scikit-learn makes up, is left out."""
    found = sets._numbers_of("trial", answer([[1.5, 0], [2.5, 1], [3.5, 0], [4.5, 1]], {"color": ["red", "green"]}))
    assert found.X.ravel().tolist() == [1.5, 2.5, 3.5, 4.5]
    assert found.y.tolist() == [0, 1, 0, 1]


def test_openml_refuses_missing_values() -> None:
    """The column is named."""
    with pytest.raises(DataError, match=r"column 'color'.*missing value"):
        sets._numbers_of("trial", answer([[1.5, 0], [2.5, np.nan], [3.5, 0], [4.5, 1]], {}))


@pytest.mark.parametrize("missing", [None, np.nan])
def test_openml_refuses_missing_labels(missing: object) -> None:
    """A row without a label is no class of its own."""
    found = answer([[1.5, 0], [2.5, 1], [3.5, 0], [4.5, 1]], {})
    found.target[2] = missing
    with pytest.raises(DataError, match="a label of 'trial' is missing"):
        sets._numbers_of("trial", found)


def test_openml_without_numbers() -> None:
    """A data set of categories alone is refused."""
    with pytest.raises(DataError, match="has no column of numbers"):
        sets._numbers_of("trial", answer([[1, 0]] * 4, {"x": ["p", "q"], "color": ["red", "green"]}))
