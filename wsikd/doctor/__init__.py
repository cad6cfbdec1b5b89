"""What of a machine wsikd needs, and whether it is there and right."""

from wsikd.doctor.examination import examine
from wsikd.doctor.finding import Finding, State

__all__ = ["Finding", "State", "examine"]
