"""What a change gives to people and takes from them, in sentences. Pure: from what each may do before and after it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from roles.policies.session import Grant

SENTENCES_MAX = 50
_READ, _WRITE = "read", "write to"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom a change may concern: a user's name, and the names of the user groups it concerns them through."""

    name: str
    groups: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, order=True)
class _Right:
    """The smallest thing that can be gained or lost: to read, or to write, under a prefix of a bucket."""

    bucket: str
    prefix: str
    verb: str

    def covers(self, other: _Right) -> bool:
        return (self.bucket, self.verb) == (other.bucket, other.verb) and other.prefix.startswith(self.prefix)


@dataclass(frozen=True, slots=True, order=True)
class _Difference:
    """What somebody gains, or loses except under some folders."""

    is_gain: bool
    bucket: str
    prefix: str
    verbs: tuple[str, ...]
    kept: tuple[str, ...]


def gains_and_losses(
    before: Mapping[Person, Collection[Grant]], after: Mapping[Person, Collection[Grant]]
) -> tuple[str, ...]:
    """Return a sentence for each thing that somebody may no longer do, then for each that somebody may do now.

    Whoever is missing on one side may do nothing there. People who gain or lose the same are told of together.
    """
    people: dict[_Difference, list[Person]] = {}
    for person in sorted({*before, *after}, key=lambda one: one.name):
        for difference in _differences(_rights(before.get(person, ())), _rights(after.get(person, ()))):
            people.setdefault(difference, []).append(person)
    said = [_sentence(_who(who), difference) for difference, who in sorted(people.items())]
    more = len(said) - SENTENCES_MAX
    return (*said[:SENTENCES_MAX], f"And {more} more gains and losses.") if more > 0 else tuple(said)


def _rights(grants: Iterable[Grant]) -> set[_Right]:
    verbs = [(grant, _READ) for grant in grants if grant.level.reads]
    verbs += [(grant, _WRITE) for grant in grants if grant.level.writes]
    return {_Right(grant.bucket.name, grant.prefix, verb) for grant, verb in verbs}


def _differences(before: set[_Right], after: set[_Right]) -> Iterator[_Difference]:
    yield from _joined(_only_in(before, after), is_gain=False, left=after)
    yield from _joined(_only_in(after, before), is_gain=True, left=set())


def _only_in(these: set[_Right], those: set[_Right]) -> list[_Right]:
    """Return what only `these` give, without what another of them gives anyway."""
    only = [right for right in these if not any(other.covers(right) for other in those)]
    return [right for right in only if not any(other != right and other.covers(right) for other in only)]


def _joined(rights: Iterable[_Right], *, is_gain: bool, left: set[_Right]) -> list[_Difference]:
    """Return the rights with reading and writing of the same place as one."""
    verbs: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for right in sorted(rights):
        kept = tuple(sorted(other.prefix for other in left if right.covers(other)))
        verbs.setdefault((right.bucket, right.prefix, kept), []).append(right.verb)
    return [_Difference(is_gain, bucket, prefix, tuple(both), kept) for (bucket, prefix, kept), both in verbs.items()]


def _who(people: list[Person]) -> str:
    if len(people) == 1:
        return people[0].name
    groups = sorted({group for person in people for group in person.groups})
    return f"{len(people)} members of {_listed(groups, 'and')}" if groups else f"{len(people)} people"


def _sentence(who: str, change: _Difference) -> str:
    verbs = _listed(change.verbs, "and" if change.is_gain else "or")
    kept = f", except under {_listed(change.kept, 'and')}" if change.kept else ""
    may = "can now" if change.is_gain else "can no longer"
    return f"{who} {may} {verbs} {change.bucket}{'/' if change.prefix else ''}{change.prefix}{kept}."


def _listed(words: Collection[str], last: str) -> str:
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end
