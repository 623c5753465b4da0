"""The page that shows what all scripts found."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from benchmarks.trust.outcome import Outcome, as_markdown


def page(outcomes: Sequence[Outcome]) -> str:
    """The page as Markdown: what is claimed and whether it holds, then one section a claim."""
    lead = (
        f"{_held(outcomes)} Each claim is measured by a script that ends with 1 where it fails; its table shows the"
        " numbers, and the line below that repeats them. What other tools would have said is worked out from the same"
        " samples by the rules that their documentation states (`benchmarks/trust/rival_rules.py`), or measured with"
        " the tools themselves. Written by `python -m benchmarks.trust --results DIR --out docs/trust.md`."
    )
    claims = "\n".join(f"- {'✓' if outcome.holds else '✗'} {outcome.claim}" for outcome in outcomes)
    title = "# How far the verdicts can be trusted"
    return "\n\n".join([title, textwrap.fill(lead, 120), claims, *map(as_markdown, outcomes)]) + "\n"


def _held(outcomes: Sequence[Outcome]) -> str:
    held, total = sum(outcome.holds for outcome in outcomes), len(outcomes)
    quick = " Smoke runs are among them, which support nothing." if any(o.is_quick for o in outcomes) else ""
    return f"Of {total} claims about this harness, {held} {'holds' if held == 1 else 'hold'} on this machine.{quick}"
