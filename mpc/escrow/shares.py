"""A holder's share of a Spec and Key, and its file.

The file is JSON: a line of format and version, the SHA-256 of all the rest, the public facts with the whole Spec,
and the secret value. Whoever edits a file can renew its SHA-256 too; a share that was altered with care is found
by `hashcomb.mpc.escrow.restore`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hashcomb.documents import MAX_BYTES, parse_json, to_record
from hashcomb.errors import FileFormatError, HashcombError, KeyMaterialError
from hashcomb.keys import read_secret, write_secret
from hashcomb.mpc.arithmetic.prime_field import ELEMENT_BYTES, is_element
from hashcomb.mpc.escrow.sharing import PublicRecord, Sharing, fields_of
from hashcomb.mpc.new_files import check_file_names, write_new
from hashcomb.tables import require_regular

__all__ = ("Share", "save_shares")

FORMAT = "hashcomb share 1"


class Share(Sharing, frozen=True, kw_only=True):
    """One holder's share; its ``repr`` does not show the value.

    Parameters
    ----------
    set_id, origin, quorum, holders, key_id, spec
        As in `Sharing`.
    holder : str
        Whose share this is.
    value : int
        The secret: an element of the field, from 0 to 2**521 - 2.

    Raises
    ------
    ProtocolError
        If the holder is none of the holders, and as `Sharing`.
    KeyMaterialError
        If the value is no element of the field.

    Notes
    -----
    Privacy: fewer shares than the quorum tell nothing of the Key beyond its public id, whatever one can compute. A
    quorum of shares is the Key: keep a share as one keeps a Key, and never two holders' shares in one place. Neither
    the aggregator nor a helper gets one: holders are owners, as the protocol of the agreement sees to.

    Pickling a Share writes the value.
    """

    holder: str
    value: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self.place(self.holder)
        if not is_element(self.value):
            raise KeyMaterialError(
                f"the share of {self.holder!r} is no element of the field", hint="let it be re-shared"
            )

    def __repr__(self) -> str:
        return f"Share(holder={self.holder!r}, {self.quorum} of {len(self.holders)}, set_id={self.set_id[:16]!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("holder", self.holder), ("quorum", self.quorum), ("set_id", self.set_id)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the share to a new file with mode 0600.

        Parameters
        ----------
        path : path
            Where to; an existing file is never overwritten.

        Raises
        ------
        KeyMaterialError
            If the file exists or cannot be written.
        """
        write_secret(path, "share", _file_bytes(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Share:
        """Read a share from a file that `save` wrote.

        Parameters
        ----------
        path : path
            A file that only its owner may read (mode 0600).

        Raises
        ------
        KeyMaterialError
            If the file cannot be read, or others may read it.
        FileFormatError
            If it is no share, of another version, truncated or edited.
        """
        path = Path(path)
        require_regular(path)
        text = read_secret(path, "share", MAX_BYTES + 1)
        try:
            return _share_of(_checked(parse_json(text), str(path)))
        except FileFormatError:
            raise
        except HashcombError:
            # Not the error behind it: it may repeat a character of the file.
            hint = "copy it again from its holder's backup"
            raise FileFormatError("is not a whole hashcomb share", file=str(path), hint=hint) from None


def save_shares(shares: Sequence[Share], folder: str | os.PathLike[str]) -> list[Path]:
    """Write every share to a file of its own in a folder, named after its holder; all or none.

    Parameters
    ----------
    shares : sequence of Share
        The shares, of different holders.
    folder : path
        A folder that is there.

    Returns
    -------
    list of Path
        ``NAME.share.json`` for each, mode 0600.

    Raises
    ------
    ProtocolError
        If a holder's name cannot be that of a file.
    FileFormatError
        If a file exists or cannot be written; then none is there.
    """
    check_file_names([share.holder for share in shares])
    paths = [Path(folder) / f"{share.holder}.share.json" for share in shares]
    write_new({path: (_file_bytes(share), 0o600) for path, share in zip(paths, shares, strict=True)})
    return paths


# ---------------------------------------------------------------------- documents
class _File(PublicRecord, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: str
    sha256: str
    holder: str
    value: str


def _file_bytes(share: Share) -> bytes:
    value = f"{share.value:0{2 * ELEMENT_BYTES}x}"
    rest = {"format": FORMAT, "holder": share.holder, "value": value, **share.facts()}
    return json.dumps({"format": FORMAT, "sha256": _digest(rest), **rest}, indent=2).encode() + b"\n"


def _digest(rest: dict[str, Any]) -> str:
    """Return the SHA-256 of a document in the one form that does not depend on spaces and order."""
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"hashcomb share file\0" + text.encode()).hexdigest()


def _checked(document: Any, file: str) -> dict[str, Any]:
    """Return a document whose format and SHA-256 are right."""
    form = document.get("format") if isinstance(document, dict) else None
    if not isinstance(form, str) or not form.startswith("hashcomb share "):
        raise FileFormatError(
            "is no share of a Spec and Key", file=file, hint="was it written by hashcomb share split?"
        )
    if form != FORMAT:
        hint = "use the library that wrote it, or a newer one"
        raise FileFormatError("was written in another version of the format", file=file, hint=hint)
    rest = {key: value for key, value in document.items() if key != "sha256"}
    if _digest(rest) != document.get("sha256"):
        hint = "copy it again from its holder's backup"
        raise FileFormatError("was edited: its SHA-256 is not the one that stands in it", file=file, hint=hint)
    return dict(document)


def _share_of(document: dict[str, Any]) -> Share:
    record = to_record(document, _File)
    if re.fullmatch(f"[0-9a-f]{{{2 * ELEMENT_BYTES}}}", record.value) is None:
        raise KeyMaterialError(f"the share of {record.holder!r} has no value of {ELEMENT_BYTES} bytes")
    return Share(holder=record.holder, value=int(record.value, 16), **fields_of(record))
