"""The audit: reports from the code that runs, and what they prove about the epsilon that is claimed for it."""

from hashcomb.audit.result import AuditResult, ChannelAudit, Check
from hashcomb.audit.run import audit

__all__ = ("AuditResult", "ChannelAudit", "Check", "audit")
