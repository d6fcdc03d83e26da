"""The options that choose a channel, for the commands that make a Spec."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

from hashcomb.spec import ChannelSpec, Spec

__all__ = ("channel_options", "say_cost", "with_channel")

_OPTIONS = (
    click.option(
        "--channel",
        "kind",
        metavar="KIND",
        help="Randomize leaves by this channel (randomized_response by default), or by none.",
    ),
    click.option("--epsilon", metavar="E[,E...]", help="Epsilon of one value; with commas one for each feature."),
    click.option("--total", type=float, help="Epsilon of a whole record, over --rounds; that of a value follows."),
    click.option("--delta", type=float, help="Delta of --total; 0, the default, adds epsilons up."),
    click.option("--rounds", type=click.IntRange(1), help="Rounds that --total covers; 1 by default."),
    click.option("--report-features", type=click.IntRange(1), help="Report so many features of a record, at random."),
    click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the channel."),
)


def channel_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose a channel; a decorator."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def with_channel(combs: Spec, choices: dict[str, Any]) -> Spec:
    """Return a Spec with the channel that the options choose; with none, if they choose none."""
    from msgspec.structs import replace

    epsilon, total = choices["epsilon"], choices["total"]
    params = dict(_parameter(text) for text in choices["params"])
    if total is None and (choices["delta"] is not None or choices["rounds"] is not None):
        raise click.UsageError("--delta and --rounds are for --total")
    if choices["kind"] in (None, "none") and epsilon is None and total is None:
        if params or choices["report_features"]:
            raise click.UsageError("which channel? Give --channel, --epsilon or --total")
        return replace(combs, channel=None)
    if sum((epsilon is not None, total is not None, "epsilon" in params)) > 1:
        raise click.UsageError("--epsilon, --total and --param epsilon exclude each other")

    def at(budget: Any) -> Spec:
        return replace(combs, channel=_describe(combs, choices, params, budget))

    if total is None:
        return at(None if epsilon is None else _numbers(epsilon, "--epsilon"))
    from hashcomb.privacy import spec_for_total

    return spec_for_total(at, total, delta=choices["delta"] or 0.0, rounds=choices["rounds"] or 1)


def say_cost(spec: Spec) -> None:
    """Say on stderr what the tokens of a Spec cost, rounded up."""
    from hashcomb.channels import reported_features
    from hashcomb.privacy.release import added_up, releases_of
    from hashcomb.privacy.report.wording import upward

    if spec.channel is None:
        click.echo("no channel: tokens under this Spec have no differential privacy", err=True)
        return
    epsilons = [release.epsilon for release in releases_of(spec)]
    record = added_up(epsilons, reported_features(spec))
    if math.isinf(record):
        click.echo(f"{spec.channel.kind}: no finite epsilon (hashcomb report says more)", err=True)
        return
    cost = f"epsilon {upward(max(epsilons))} a value, {upward(record)} a record, at most"
    click.echo(f"{spec.channel.kind}: {cost} (hashcomb report says more)", err=True)


def _describe(combs: Spec, choices: dict[str, Any], params: dict[str, Any], budget: Any) -> ChannelSpec:
    from hashcomb.channels import describe

    kind = choices["kind"] or "randomized_response"
    if kind == "randomized_response" and combs.tokens != "leaf":
        params = {"depth": "leaf", **params}  # only leaves have nodes at all levels
    return describe(kind, params, n_leaves=combs.n_leaves, epsilon=budget, report_features=choices["report_features"])


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError("--param is NAME=VALUE, with commas between several numbers")
    try:
        return name, _numbers(value, name)
    except click.UsageError:
        return name, value


def _numbers(text: str, name: str) -> float | tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.UsageError(f"{name} needs a number, or several with commas between them") from None
    return numbers if len(numbers) > 1 else numbers[0]
