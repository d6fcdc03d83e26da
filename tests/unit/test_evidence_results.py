"""The file of measurements: nothing finished is lost, and nothing is mixed with what it cannot be compared with."""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hashcomb.errors import FileFormatError
from hashcomb.evidence.data import DataSet
from hashcomb.evidence.plan import VERSION
from hashcomb.evidence.results import FILE_NAME, Result, opened, read_results


def result(seed: int = 0, **changes: object) -> Result:
    """Return a measurement."""
    one = Result(
        data="trial",
        rows_sha="0123456789ab",
        split="random",
        seed=seed,
        model="random forest",
        encoding='quantile depth 4, "odd" name',
        family="channel",
        representation="one-hot",
        edges=None,
        depth=4,
        channel="geometric",
        epsilon_feature=1 / 3,
        epsilon_record=None,
        n_train=300,
        n_train_distinct=290,
        n_test=100,
        accuracy=2 / 3,
        seconds=0.123,
        version=VERSION,
    )
    return msgspec.structs.replace(one, **changes)


def rows(sha: str) -> DataSet:
    """Return rows that have a hash."""
    nothing = np.zeros(0, dtype=np.int64)
    return DataSet("trial", sha, np.zeros((0, 1)), nothing, nothing, nothing)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two measurements."""
    with opened(tmp_path / "out") as file:
        file.append(result(0))
        file.append(result(1))
    return tmp_path / "out"


def test_what_is_appended_is_read_again(folder: Path) -> None:
    """Every field comes back with its type and exact value, in the order in which it was written."""
    assert read_results(folder) == [result(0), result(1)]
    with opened(folder) as file:
        assert file.results == {one.key: one for one in (result(0), result(1))}


def test_a_measurement_is_in_the_file_at_once(tmp_path: Path) -> None:
    """Others can read it while the file is still open."""
    with opened(tmp_path) as file:
        file.append(result(3))
        assert read_results(tmp_path) == [result(3)]


@pytest.mark.parametrize("n_bytes", [1, 20, 100])
def test_a_torn_last_line_is_taken_away(folder: Path, n_bytes: int) -> None:
    """What a killed process began to write goes; what it finished stays, and the file goes on from there."""
    path = folder / FILE_NAME
    content = path.read_bytes()
    path.write_bytes(content[:-n_bytes])
    assert read_results(folder) == [result(0)]
    with opened(folder) as file:
        assert list(file.results.values()) == [result(0)]
        file.append(result(1))
    assert path.read_bytes() == content


def test_a_torn_heading_is_written_again(folder: Path) -> None:
    """A process that was killed at once leaves nothing in the way."""
    path = folder / FILE_NAME
    path.write_bytes(path.read_bytes()[:10])
    with opened(folder) as file:
        file.append(result(0))
    assert read_results(folder) == [result(0)]


@pytest.fixture
def full_disk(folder: Path) -> Iterator[None]:
    """Let files grow by thirty bytes and no more, as on a disk that fills up."""
    size, before = (folder / FILE_NAME).stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk(folder: Path, full_disk: None, request: pytest.FixtureRequest) -> None:
    """A line that does not fit is an error, and only that line is lost."""
    with opened(folder) as file, pytest.raises(OSError, match=rf"File too large.*{FILE_NAME}"):
        file.append(result(2))
    assert not (folder / FILE_NAME).read_bytes().endswith(b"\n")
    with opened(folder) as file:
        assert list(file.results.values()) == [result(0), result(1)]


def test_one_process_at_a_time(folder: Path) -> None:
    """Who comes second is told so, and changes nothing."""
    with opened(folder), pytest.raises(FileFormatError, match="is being written by another process"), opened(folder):
        pass
    with opened(folder) as file:
        assert len(file.results) == 2


def test_other_rows_of_the_same_name(folder: Path) -> None:
    """Measurements of other rows are not mixed; those of other data sets are not in the way."""
    with opened(folder) as file:
        file.refuse_others([rows("0123456789ab")])
        file.refuse_others([rows("ffff")._replace(name="other")])
        with pytest.raises(FileFormatError, match=r"other rows that are called 'trial' too; choose another folder"):
            file.refuse_others([rows("ffff")])


def test_other_definitions(folder: Path) -> None:
    """Measurements of another version are not mixed."""
    with opened(folder) as file:
        file.append(result(2, version="0"))
        with pytest.raises(FileFormatError, match="another version"):
            file.refuse_others([])


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "some text", "\x00\xff\n"])
def test_a_file_of_somebody_else(tmp_path: Path, content: str) -> None:
    """It is refused, and left as it is."""
    path = tmp_path / FILE_NAME
    path.write_text(content, encoding="latin-1")
    before = path.read_bytes()
    with pytest.raises(FileFormatError, match="is no file of measurements"), opened(tmp_path):
        pass
    assert path.read_bytes() == before


def test_a_damaged_line_in_the_middle(folder: Path) -> None:
    """A line that no interruption explains is refused rather than skipped."""
    path = folder / FILE_NAME
    path.write_bytes(path.read_bytes().replace(b",300,", b",many,", 1))
    with pytest.raises(FileFormatError, match="is no file of measurements"):
        read_results(folder)


def test_no_measurements(tmp_path: Path) -> None:
    """The error says what to do, where there is no file and where a run was stopped before its first measurement."""
    for _ in range(2):
        with pytest.raises(FileFormatError, match=r"holds no measurements.*measure first, without --summary-only"):
            read_results(tmp_path)
        with opened(tmp_path):
            pass
