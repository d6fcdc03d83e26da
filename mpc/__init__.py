"""hashcomb.mpc: owners agree on a Spec and a Key without showing each other their data."""

from hashcomb.mpc import local
from hashcomb.mpc.agree import Agreement, agree
from hashcomb.mpc.escrow import RESHARE_STEPS, Share, reshare, restore, split
from hashcomb.mpc.helper import HELPER_STEPS, help_owners
from hashcomb.mpc.network.certificates import make_certificates
from hashcomb.mpc.network.parties import Party, Peer, free_ports
from hashcomb.mpc.network.party_file import Me, load_party
from hashcomb.mpc.network.session import meet
from hashcomb.mpc.policy import STEPS, Policy, Votes
from hashcomb.mpc.transcript import TranscriptFile

__all__ = (
    "HELPER_STEPS",
    "RESHARE_STEPS",
    "STEPS",
    "Agreement",
    "Me",
    "Party",
    "Peer",
    "Policy",
    "Share",
    "TranscriptFile",
    "Votes",
    "agree",
    "free_ports",
    "help_owners",
    "load_party",
    "local",
    "make_certificates",
    "meet",
    "reshare",
    "restore",
    "split",
)
