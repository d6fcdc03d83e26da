"""What somebody can do with tokens and without the Key, each as a figure beside its baseline; one attack a file."""

from hashcomb.attacks.frequencies import frequency_matching
from hashcomb.attacks.joint import joint_matching
from hashcomb.attacks.known_rows import KnownRowsResult, open_with_known_rows
from hashcomb.attacks.linkage import LinkageResult, link_rows
from hashcomb.attacks.membership import MembershipResult, advantage_bound, infer_membership, membership_scores
from hashcomb.attacks.naming import AttackResult
from hashcomb.attacks.paths import path_matching
from hashcomb.attacks.reconstruction import ReconstructionResult, reconstruct_rows
from hashcomb.attacks.report import AttackFigure, AttackReport
from hashcomb.attacks.run import run_attacks
from hashcomb.attacks.weak_keys import guess_key, obvious_secrets
from hashcomb.attacks.xxh3_seed import (
    node_words,
    open_column,
    open_column_by_hints,
    search_seeds_32,
    solve_inputs,
    solve_seeds,
)

__all__ = (
    "AttackFigure",
    "AttackReport",
    "AttackResult",
    "KnownRowsResult",
    "LinkageResult",
    "MembershipResult",
    "ReconstructionResult",
    "advantage_bound",
    "frequency_matching",
    "guess_key",
    "infer_membership",
    "joint_matching",
    "link_rows",
    "membership_scores",
    "node_words",
    "obvious_secrets",
    "open_column",
    "open_column_by_hints",
    "open_with_known_rows",
    "path_matching",
    "reconstruct_rows",
    "run_attacks",
    "search_seeds_32",
    "solve_inputs",
    "solve_seeds",
)
