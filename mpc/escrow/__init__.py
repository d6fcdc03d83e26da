"""Shares of a Spec and Key, from a quorum of which a lost owner gets them back."""

from hashcomb.mpc.escrow.resharing import RESHARE_STEPS, reshare, share_key
from hashcomb.mpc.escrow.shamir_shares import restore, split
from hashcomb.mpc.escrow.shares import Share, save_shares
from hashcomb.mpc.escrow.sharing import Sharing

__all__ = ("RESHARE_STEPS", "Share", "Sharing", "reshare", "restore", "save_shares", "share_key", "split")
