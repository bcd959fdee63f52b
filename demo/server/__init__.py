"""
Speak the documented shapes of the systems this provider must work with, refusals included.

``python -m demo.server`` runs it by hand, :class:`DemoServer` inside a test. Each system is one module; its
docstring says which shapes are documented by the vendor (D), seen in public client code (C) or assumed (A).
"""

from __future__ import annotations

from demo.server.journal import Journal, Record
from demo.server.server import DemoServer

__all__ = ["DemoServer", "Journal", "Record"]
