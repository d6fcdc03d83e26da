"""Figures and pages about a Spec: its PrivacyReport, to look at. All but `curves` need the extra ``plot``."""

__all__: tuple[str, ...] = ()
