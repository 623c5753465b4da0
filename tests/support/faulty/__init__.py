"""Backends with one known fault each, named for it, in modules by kind of fault. All else is the im2col backend's.

Loaded by spec, `faulty:Class`, in workers and in-process alike.
"""

from __future__ import annotations

from faulty import (
    arithmetic,
    control,
    crashes,
    escapes,
    exceptions,
    geometry,
    hoards,
    layout,
    manners,
    memory,
    omissions,
    output,
    refusals,
)

for _module in (
    arithmetic,
    control,
    crashes,
    escapes,
    exceptions,
    geometry,
    hoards,
    layout,
    manners,
    memory,
    omissions,
    output,
    refusals,
):
    globals().update({name: kind for name, kind in vars(_module).items() if isinstance(kind, type)})
