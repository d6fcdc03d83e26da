"""hashcomb.mpc: owners agree on a Spec and a Key without showing each other their data."""

from hashcomb.mpc.agree import STEPS, Agreement, agree
from hashcomb.mpc.parties import Party, Peer, free_ports, load_party
from hashcomb.mpc.policy import Policy

__all__ = ("STEPS", "Agreement", "Party", "Peer", "Policy", "agree", "free_ports", "load_party")
