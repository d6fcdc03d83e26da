"""What the demo prints."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from hashcomb.demo.run import DemoResult
from hashcomb.spec import Quantile

__all__ = ("show", "summary")


def show(result: DemoResult, report_path: str, *, as_json: bool) -> None:
    """Print what the demo found, as tables or as JSON."""
    console = Console(highlight=False, markup=False, soft_wrap=as_json, width=None if Console().is_terminal else 100)
    if as_json:
        console.print_json(json.dumps(summary(result) | {"report": report_path}), highlight=False)
        return
    facts = summary(result)
    leak = facts["leak"]
    console.print(_agreed(facts))
    console.print(_accuracy(facts))
    console.print(_seen(result, facts))
    console.print(
        f"Encoding: {facts['rows_per_s']:,.0f} rows/s, {facts['values_per_s']:,.0f} values/s "
        "(one thread of one owner, its own rows repeated to five million values)."
    )
    console.print(
        "Leak: tokens are deterministic, so no differential privacy. Without the Key, somebody who holds the "
        f"trainer's tokens and labels, the edges and {leak['n_known']:,} other rows names at least {leak['joint']:.0f} "
        f"% of leaves rightly, and {leak['near']:.0f} % to within one leaf, by how columns go together; by frequencies "
        f"alone {leak['frequency']:.0f} %; by naming always the most frequent {leak['guessed']:.0f} %."
    )
    console.print(f"{result.seconds:.1f} s in all. Report with figures: {report_path}")


def summary(result: DemoResult) -> dict[str, Any]:
    """Return the figures of the demo."""
    owners = list(result.owners.values())
    rows_per_s = owners[0]["rows_per_s"]
    return {
        "source": result.source,
        "seed": result.seed,
        "owners": len(owners),
        "rows": sum(owner["n_rows"] for owner in owners),
        "features": len(result.spec.features),
        "depth": result.spec.depth,
        "edges": sum(len(set(f.edges)) for f in result.spec.features if isinstance(f, Quantile)),
        "fingerprint": result.spec.fingerprint,
        "fingerprints": {name: owner["fingerprint"] for name, owner in result.owners.items()},
        "agreement_s": max(sum(owner["seconds"].values()) for owner in owners),
        "agreement_rounds": owners[0]["n_rounds"],
        "agreement_bytes_per_owner": max(owner["n_bytes"] for owner in owners),
        "held_out": result.n_scored,
        "accuracy": msgspec.to_builtins(result.accuracy),
        "rows_per_s": rows_per_s,
        "values_per_s": rows_per_s * len(result.spec.features),
        "leak": {name: float(np.mean(values)) for name, values in msgspec.structs.asdict(result.leak).items()}
        | {"n_known": result.leak.n_known},
        "trainer": result.trainer,
        "seconds": result.seconds,
    }


def _agreed(facts: dict[str, Any]) -> Table:
    table = Table(title="Agreed by secure multi-party computation", title_justify="left", show_header=False)
    table.add_row("data", f"{facts['source']}: {facts['rows']:,} rows, {facts['features']} features")
    table.add_row("owners", f"{facts['owners']} processes, over TCP on loopback")
    table.add_row("Spec", f"quantile edges, depth {facts['depth']} ({2 ** facts['depth']} leaves a feature)")
    table.add_row("fingerprint", facts["fingerprint"])
    table.add_row("", f"the same at all {len(facts['fingerprints'])} owners")
    mib = facts["agreement_bytes_per_owner"] / (1 << 20)
    table.add_row(
        "cost", f"{facts['agreement_s']:.1f} s, {facts['agreement_rounds']} rounds, {mib:.1f} MiB sent by an owner"
    )
    return table


def _accuracy(facts: dict[str, Any]) -> Table:
    table = Table(title=f"Test accuracy on {facts['held_out']:,} held-out rows, %", title_justify="left")
    for heading in ("model", "raw, pooled", "tokens", "difference"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for row in facts["accuracy"]:
        change = row["tokens"] - row["raw"]
        table.add_row(row["model"], f"{row['raw']:.2f}", f"{row['tokens']:.2f}", f"{change:+.2f}")
    return table


def _seen(result: DemoResult, facts: dict[str, Any]) -> Table:
    """Say what each party had before it, from what the processes reported."""
    owners, trainer = list(result.owners.values()), result.trainer
    least, most = min(o["n_rows"] for o in owners), max(o["n_rows"] for o in owners)
    table = Table(title="What each party saw", title_justify="left", show_lines=True)
    for heading in ("party", "saw", "never saw"):
        table.add_column(heading)
    table.add_row(
        "an owner",
        f"its own {least:,} to {most:,} rows; shares, which are random numbers; the Key; the Spec, whose "
        f"{facts['edges']:,} edges are rounded values of all owners' rows",
        "which of the others' rows an edge is from; any other value; votes (unless half of the owners collude)",
    )
    table.add_row(
        "the trainer",
        f"{trainer['n_files']} files with {trainer['n_tokens']:,} tokens such as {trainer['sample'][0]}, and "
        f"{trainer['n_labels']:,} labels",
        "a value, an edge, the Key; labels of held-out rows",
    )
    table.add_row(
        "the yardstick",
        "all raw rows in one place, for the column 'raw' and to judge the leak",
        "(no such party exists outside this demo)",
    )
    return table
