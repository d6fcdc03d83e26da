"""The command line: results on stdout, everything else on stderr; exit 0, 1 (refused) or 2 (usage)."""

from __future__ import annotations

import click

from hashcomb import __version__
from hashcomb.cli import agreement, audit, bench, demo, keys, migrate, plot, report, shares, specs, tokens
from hashcomb.terminal import run

__all__ = ("cli", "main")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hashcomb")
def cli() -> None:
    """Turn training data into tokens, under a Spec and a Key that their owners agree on."""


COMMANDS = (
    specs.spec,
    keys.key,
    tokens.encode,
    tokens.decode,
    tokens.inspect,
    migrate.migrate,
    report.report,
    plot.plot,
    audit.audit,
    agreement.agree,
    shares.share,
    demo.demo,
    bench.bench,
)
for _command in COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the command line; the entry point of the package."""
    run(cli)


if __name__ == "__main__":
    main()
