"""Who takes part and how they are connected: certificates, MPyC behind a guard, messages, the frame of a run."""

from hashcomb.mpc.network.parties import Party, Peer, free_ports

__all__ = ("Party", "Peer", "free_ports")
