"""Things to compare take turns, and a turn that was disturbed shows."""

import resource
import statistics
import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from typing import Any

_UNDISTURBED = 0.8  # of the processor that a turn has in the median


@dataclass(frozen=True)
class Turn:
    """How long something took, once.

    Attributes:
        seconds: What is compared: of a clock of its own, or `wall`.
        wall: Of the clock on the wall.
        processor: Of all cores together, and of the processes waited for.
    """

    seconds: float
    wall: float
    processor: float


Work = Callable[[], Any]


def timed(work: Work) -> Turn:
    """Calls it, and says how long it took.

    It may return a float, seconds of a clock of its own, or the `Turn` of
    another process; whatever else it returns is dropped.
    """
    wall, processor = time.perf_counter(), _processor_seconds()
    found = work()
    wall = time.perf_counter() - wall
    processor = _processor_seconds() - processor
    if isinstance(found, Turn):
        return found
    return Turn(found if isinstance(found, float) else wall, wall, processor)


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Turns(dict[str, list[Turn]]):
    """The turns of everything that is compared, a round after the other."""

    def seconds(self, name: str) -> list[float]:
        return [turn.seconds for turn in self[name]]

    def median(self, name: str) -> float:
        return statistics.median(self.seconds(name))

    def milliseconds(self, name: str, digits: int = 2) -> float:
        return round(1000 * self.median(name), digits)

    def ratios(self, name: str, to: str) -> list[float]:
        """How much longer one took than another, round by round: what
        disturbed both is left out."""
        pairs = zip(self.seconds(name), self.seconds(to), strict=True)
        return [round(mine / other, 4) for mine, other in pairs]

    def ratio(self, name: str, to: str, digits: int = 3) -> float:
        return round(statistics.median(self.ratios(name, to)), digits)

    def disturbed(self) -> list[str]:
        """Turns that had to share their cores, in words: less processor time
        in a second than most turns of the same thing."""
        found = []
        for name, turns in self.items():
            shares = [x.processor / max(x.wall, 1e-9) for x in turns]
            usual = statistics.median(shares)
            found += [
                f"{name}, round {i + 1}: {share:.2f} cores, usually {usual:.2f}"
                for i, share in enumerate(shares)
                if share < _UNDISTURBED * usual
            ]
        return found

    def to_json(self) -> dict[str, list[dict[str, float]]]:
        """Every turn, to the microsecond."""
        return {
            name: [
                {k: round(x, 6) for k, x in asdict(t).items()} for t in turns
            ]
            for name, turns in self.items()
        }


def interleave(work: Mapping[str, Work], rounds: int, warm: int = 1) -> Turns:
    """Calls everything in turns.

    Args:
        work: What to compare, as `timed` takes it.
        rounds: How often each has its turn.
        warm: How often before that, not counted: the first time traces.
    """
    found = Turns({name: [] for name in work})
    for number in range(-warm, rounds):
        for name, call in work.items():
            turn = timed(call)
            if number >= 0:
                found[name].append(turn)
    for line in found.disturbed():
        print(f"disturbed: {line}")
    return found
