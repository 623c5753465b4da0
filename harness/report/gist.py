"""Texts that differ in their numbers only, said once: each number that differs becomes the range of its values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Digits that belong to a name (float32, ic64, 2**24) are no numbers of their own.
_NUMBER = re.compile(r"(?<![\w.*^-])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w*^])")


@dataclass(frozen=True, kw_only=True)
class Gist:
    """What several texts say, and how often it is said of whom."""

    text: str
    said_of: Mapping[str, int]

    @property
    def count(self) -> int:
        """How often it is said in all."""
        return sum(self.said_of.values())


def gists(said: Iterable[tuple[str, str]]) -> tuple[Gist, ...]:
    """The gist of texts, the commonest first.

    Args:
        said: Each text with the one it is about.
    """
    said_of: dict[tuple[str, ...], Counter[str]] = {}
    ranges: dict[tuple[str, ...], list[_Range]] = {}
    for text, about in said:
        words = tuple(_NUMBER.split(text))
        numbers = [(float(number.replace(",", "")), number) for number in _NUMBER.findall(text)]
        known = ranges.get(words)
        if known is None:
            ranges[words] = [_Range(low=number, high=number) for number in numbers]
        else:
            for place, number in zip(known, numbers, strict=True):
                place.widen(number)
        said_of.setdefault(words, Counter())[about] += 1
    found = [Gist(text=_joined(words, ranges[words]), said_of=dict(counts)) for words, counts in said_of.items()]
    return tuple(sorted(found, key=lambda gist: -gist.count))


def without_numbers(text: str) -> str:
    """The text with a sign for each number: equal for texts that have one gist."""
    return _NUMBER.sub("#", text)


@dataclass(kw_only=True)
class _Range:
    """The least and the greatest number seen in one place, each with its own spelling."""

    low: tuple[float, str]
    high: tuple[float, str]

    def widen(self, number: tuple[float, str]) -> None:
        if number[0] < self.low[0]:
            self.low = number
        elif number[0] > self.high[0]:
            self.high = number

    def __str__(self) -> str:
        return self.low[1] if self.low[0] == self.high[0] else f"{self.low[1]}–{self.high[1]}"


def _joined(words: tuple[str, ...], numbers: list[_Range]) -> str:
    return words[0] + "".join(f"{number}{text}" for number, text in zip(numbers, words[1:], strict=True))
