"""What owners do together before there is a Spec, and with what they got of it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashcomb.atomic import check_target, writing
from hashcomb.cli.certificates import certs
from hashcomb.cli.options import json_flag, refuse_one_file
from hashcomb.errors import FileFormatError
from hashcomb.terminal import print_facts, step_lines

if TYPE_CHECKING:
    from hashcomb.mpc import Agreement, Me, Party, Policy

__all__ = ("agree",)

_party_argument = click.argument("party_path", metavar="PARTY", type=click.Path())
_me_option = click.option("--me", help="This owner's name among the peers.")
_tls_key_option = click.option("--tls-key", type=click.Path(), help="This owner's private key, PEM.")
_sign_key_option = click.option(
    "--sign-key", type=click.Path(), help="Its Ed25519 key for the transcript, if not --tls-key."
)


class _DefaultGroup(click.Group):
    """A group whose first word may be left out: ``agree PARTY`` is ``agree run PARTY``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help", "-h"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_DefaultGroup)
def agree() -> None:
    """Agree with other owners: `hashcomb agree PARTY -o SPEC` (short for `run`), and what goes with it."""


agree.add_command(certs)


@agree.command()
@_party_argument
@click.option("-o", "--out", type=click.Path(), help="Where the Spec goes; needed unless this is a helper.")
@click.option("--key-out", type=click.Path(), help="Where the Key goes; the Spec's name with .key by default.")
@click.option("--transcript-out", type=click.Path(), help="Where the signed transcript goes; .transcript.json.")
@click.option("--share-out", type=click.Path(), help="Where a share of the Key goes, if agreed on; .share.json.")
@_me_option
@click.option("--data", type=click.Path(), help="This owner's rows, CSV or Parquet.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out, such as the label.")
@click.option("--depth", type=click.IntRange(1, 20), help="This owner's vote on the depth.")
@click.option("--epsilon", type=float, help="The largest epsilon of a value that this owner agrees to.")
@click.option("--channel", help="This owner's vote on the channel.")
@click.option("--hash", "hash_", help="This owner's vote on the hash.")
@_tls_key_option
@_sign_key_option
@json_flag
def run(
    party_path: str,
    out: str | None,
    key_out: str | None,
    transcript_out: str | None,
    share_out: str | None,
    as_json: bool,
    **mine: Any,
) -> None:
    """Agree with the other owners in PARTY (TOML) on a Spec and a Key, without showing them the data."""
    from hashcomb import mpc

    asked = {name: mine[name] for name in ("data", "drop", "depth", "epsilon", "channel", "hash_")}
    party, policy, own = _load(party_path, hash=mine.pop("hash_"), **mine)
    if party.index not in party.owners:
        _refuse_for_helpers(out=out, key_out=key_out, transcript_out=transcript_out, share_out=share_out, **asked)
        work = mpc.help_owners(party, policy, progress=step_lines(mpc.HELPER_STEPS))
        print_facts({"transcript": asyncio.run(work)}, as_json)
        return
    if not out:
        raise click.UsageError("where does the Spec go? Pass -o")
    if not own.data:
        raise click.UsageError("where are this owner's rows? Set me.data in the file, or pass --data")
    paths = {
        "spec": out,
        "key": key_out or _beside(out, ".key"),
        "transcript": transcript_out or _beside(out, ".transcript.json"),
        **({"share": share_out or _beside(out, ".share.json")} if policy.escrow else {}),
    }
    _check_targets(paths, party_path, own.data, *_files_of(party))
    _finish(asyncio.run(_agree(party, policy, own)), paths, as_json)


def _refuse_for_helpers(**asked: Any) -> None:
    for name, value in asked.items():
        if value:
            option = name.rstrip("_").replace("_", "-")
            raise click.UsageError(f"--{option} is for owners: a helper has no rows, no vote, and writes no file")


def _load(party_path: str, *, data: str | None = None, drop: tuple[str, ...] = (), **mine: Any) -> Any:
    from hashcomb.mpc import load_party

    files = {"data": data, "tls_key": mine.pop("tls_key"), "sign_key": mine.pop("sign_key")}
    given = {name: str(Path(path).absolute()) if path else None for name, path in files.items()}
    return load_party(party_path, name=mine.pop("me"), drop=drop or None, **given, **mine)


def _files_of(party: Party) -> list[str]:
    """Return certificates and keys, which must not be written over."""
    files = [party.tls_key, party.sign_key, *(path for peer in party.peers for path in (peer.cert, peer.sign))]
    return [path for path in files if path]


def _beside(spec: str, ending: str) -> str:
    return str(Path(spec).parent / f"{Path(spec).stem}{ending}")


def _check_targets(paths: dict[str, str], *read: str) -> None:
    for what, path in paths.items():
        if what != "spec" and Path(path).exists():
            hint = "choose another name for what is written"
            raise FileFormatError(f"exists, and a {what} is never overwritten", file=path, hint=hint)
        refuse_one_file(path, *read, *(other for name, other in paths.items() if name != what))
        check_target(path)


async def _agree(party: Party, policy: Policy, own: Me) -> Agreement:
    from hashcomb.formats import read_all
    from hashcomb.mpc import agree

    votes = {"depth": own.depth, "epsilon": own.epsilon, "channel": own.channel, "hash": own.hash}
    listed = [name for name, known in policy.categories.items() if known and isinstance(known[0], str)]
    table = read_all(own.data, own.drop, [*policy.categorical, *listed])
    return await agree(party, table, policy, **votes, progress=step_lines(policy.steps))  # type: ignore[arg-type]


def _finish(agreed: Agreement, paths: dict[str, str], as_json: bool) -> None:
    _write(agreed, paths)
    for note in agreed.notes:
        click.echo(f"note on your data (nobody else sees this): {note}", err=True)
    facts = {
        "fingerprint": agreed.spec.fingerprint,
        "key_id": agreed.key.id,
        "transcript": agreed.transcript,
        **({} if agreed.n_rows is None else {"rows_of_all": agreed.n_rows}),
        "files": paths,
        "rounds": agreed.n_rounds,
        "bytes_sent": agreed.n_bytes,
        "seconds": {step: round(seconds, 3) for step, seconds in agreed.seconds.items()},
    }
    print_facts(facts, as_json)


def _write(agreed: Agreement, paths: dict[str, str]) -> None:
    """Write all files or none: a Key without its Spec would only be in the way."""
    from hashcomb.files import write_spec

    with contextlib.ExitStack() as undo:
        agreed.key.save(paths["key"])
        undo.callback(Path(paths["key"]).unlink)
        if agreed.share is not None:
            agreed.share.save(paths["share"])
            undo.callback(Path(paths["share"]).unlink)
        with writing(paths["transcript"], overwrite=False) as file:
            file.write(agreed.record.to_json().encode())
        undo.callback(Path(paths["transcript"]).unlink)
        write_spec(agreed.spec, paths["spec"])
        undo.pop_all()


@agree.command()
@click.argument("paths", metavar="CERT...", nargs=-1, required=True, type=click.Path())
@json_flag
def fingerprint(paths: tuple[str, ...], as_json: bool) -> None:
    """Print the SHA-256 of certificates, to compare with their owners by telephone."""
    from hashcomb.mpc.network.certificates import fingerprint

    print_facts({path: fingerprint(path) for path in paths}, as_json)


@agree.command()
@click.argument("path", metavar="TRANSCRIPT", type=click.Path())
@click.option("--party", "party_path", type=click.Path(), help="party.toml with the certificates that you know.")
@click.option("--spec", "spec_path", type=click.Path(), help="The Spec that you hold.")
@json_flag
def verify(path: str, party_path: str | None, spec_path: str | None, as_json: bool) -> None:
    """Make sure that every participant signed TRANSCRIPT, and that nothing in it was changed since."""
    from hashcomb.files import read_spec
    from hashcomb.mpc import TranscriptFile
    from hashcomb.mpc.network.identity import known_keys

    record = TranscriptFile.from_json(_read(path))
    known = known_keys(party_path) if party_path else None
    record.verify(known, read_spec(spec_path).fingerprint if spec_path else None)
    if known is None:
        click.echo("checked against the keys in the transcript itself; --party compares them with yours", err=True)
    facts = {"transcript": record.digest, "fingerprint": record.fingerprint, "key_id": record.key_id}
    print_facts({**facts, "signed_by": [signer.name for signer in record.signers]}, as_json)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileFormatError(f"cannot be read: {error.strerror}", file=path) from None


@agree.command()
@_party_argument
@click.option("--quorum", required=True, type=click.IntRange(2, 64), help="How many of the owners will restore.")
@click.option("--share", "share_path", type=click.Path(), help="This owner's old share; none if it joins.")
@click.option("-o", "--out", required=True, type=click.Path(), help="Where the new share goes.")
@_me_option
@_tls_key_option
@_sign_key_option
@json_flag
def reshare(party_path: str, quorum: int, share_path: str | None, out: str, as_json: bool, **mine: Any) -> None:
    """Make new shares of a Key for the owners in PARTY, from those of a quorum of old holders among them."""
    from hashcomb import mpc

    party, _, _ = _load(party_path, **mine)
    share = mpc.Share.load(share_path) if share_path else None
    _check_targets({"share": out}, party_path, *_files_of(party), *([share_path] if share_path else []))
    new = asyncio.run(mpc.reshare(party, share, quorum, progress=step_lines(mpc.RESHARE_STEPS)))
    new.save(out)
    if share_path:
        click.echo("delete the old share once every new holder has its own", err=True)
    print_facts({"holder": new.holder, "set_id": new.set_id, "quorum": new.quorum, "share": out}, as_json)
