"""What on this machine will spoil a measurement, and how to mend it: one module for each kind of look."""

from harness.doctor.findings import Finding, Level, warnings
from harness.doctor.looks import examine, examine_thoroughly

__all__ = ["Finding", "Level", "examine", "examine_thoroughly", "warnings"]
