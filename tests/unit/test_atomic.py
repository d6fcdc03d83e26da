"""Files are written whole or not at all."""

import os
from pathlib import Path

import pytest

from hashcomb import Key
from hashcomb.atomic import check_target, writing


def test_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    """Nothing is at the path before the block ends, all of it after."""
    path = tmp_path / "out"
    with writing(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["out"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """After an error the old content is there, and no temporary file."""
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), writing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


def test_existing_file_is_kept_where_overwriting_is_forbidden(tmp_path: Path) -> None:
    """A file that may not be overwritten wins, also against a writer that began before it was there."""
    path = tmp_path / "out"
    with pytest.raises(FileExistsError), writing(path, overwrite=False) as file:
        path.write_bytes(b"first")
        file.write(b"second")
    assert path.read_bytes() == b"first"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    """An ordinary file gets the permissions that the user's umask asks for."""
    old = os.umask(0o027)
    try:
        with writing(tmp_path / "out") as file:
            file.write(b"")
    finally:
        os.umask(old)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


def test_link_is_followed_and_devices_are_refused(tmp_path: Path) -> None:
    """A symbolic link stays one, and what is no regular file is left alone."""
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with writing(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    with pytest.raises(OSError, match="regular"), writing("/dev/null"):
        pass


def test_a_target_is_checked_without_a_trace(tmp_path: Path) -> None:
    """A target that could not be written is refused before work begins; one that could is left as it is."""
    there = tmp_path / "there"
    there.write_bytes(b"before")
    check_target(there)
    check_target(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert there.read_bytes() == b"before"
    for path, options in ((there, {"overwrite": False}), (tmp_path, {}), (tmp_path / "no" / "new", {})):
        with pytest.raises(OSError, match=r"exists|regular|no such"):
            check_target(path, **options)


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    """Whatever writes over the file of a Key is refused, and the Key is as it was."""
    key = Key.create()
    key.save(tmp_path / "owner.key")
    with pytest.raises(OSError, match="never overwritten"), writing(tmp_path / "owner.key") as file:
        file.write(b"a Spec")
    assert Key.load(tmp_path / "owner.key") == key


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    """What only its owner could read stays so, and a new file has the usual permissions."""
    private = tmp_path / "private"
    private.write_bytes(b"before")
    private.chmod(0o600)
    with writing(private) as file:
        file.write(b"after")
    assert private.read_bytes() == b"after"
    assert private.stat().st_mode & 0o777 == 0o600
