"""Changes of a choreography; each returns a new one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kws_imu_ros.choreography.choreography import Choreography, Move, Phrase
from kws_imu_ros.choreography.file import LONGEST_NAME, parse_choreography, save_choreography
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import write_whole

# Left and right swapped, in intents and gestures of the shipped tables and their like.
MIRRORED = {'left': 'right', 'clk': 'cclk', 'clockwise': 'counterclockwise'}
MOST_UNDONE = 50


def insert(choreography: Choreography, move: Move) -> Choreography:
    """
    Put a move in; what begins at its beat or later moves back by what it lacks of room.

    Raises:
        KwsImuError: the move begins inside another one.

    """
    for other in choreography.moves:
        if other.beat < move.beat < other.end:
            raise KwsImuError(
                f'Beat {move.beat:g} lies inside the move of beat {other.beat:g}, which lasts to '
                f'{other.end:g}; insert there, or shorten that move.'
            )
    before = [other for other in choreography.moves if other.beat < move.beat]
    after = [other for other in choreography.moves if other.beat >= move.beat]
    lack = max(0.0, move.end - after[0].beat) if after else 0.0
    moves = (*before, move, *(replace(other, beat=other.beat + lack) for other in after))
    return replace(choreography, moves=moves, phrases=_shifted(choreography, move.beat, lack))


def _shifted(choreography: Choreography, beat: float, by: float) -> tuple[Phrase, ...]:
    """Return the phrases after `by` beats were put in at a beat."""
    return tuple(
        replace(phrase, beat=phrase.beat + by)
        if phrase.beat > beat
        else replace(phrase, beats=phrase.beats + by)
        if phrase.end > beat
        else phrase
        for phrase in choreography.phrases
    )


def delete(choreography: Choreography, number: int) -> Choreography:
    """Take a move out; its beats become a rest. number: from 1."""
    index = _index(choreography, number)
    moves = choreography.moves
    return replace(choreography, moves=moves[:index] + moves[index + 1 :])


def move_to(choreography: Choreography, number: int, beat: float) -> Choreography:
    """
    Let a move begin on another beat.

    number: from 1.

    Raises:
        KwsImuError: there is no such move, or another one is there.

    """
    index = _index(choreography, number)
    moved = replace(choreography.moves[index], beat=beat)
    rest = choreography.moves[:index] + choreography.moves[index + 1 :]
    for other in rest:
        if other.beat < moved.end and moved.beat < other.end:
            raise KwsImuError(
                f'Beat {beat:g} to {moved.end:g} is taken by the move of beat {other.beat:g}; '
                'choose another beat, or delete that move.'
            )
    return replace(choreography, moves=tuple(sorted((*rest, moved), key=lambda move: move.beat)))


def repeat(choreography: Choreography, first: int, last: int, times: int = 1) -> Choreography:
    """
    Dance moves again, right after themselves; what follows moves back.

    first, last: numbers of moves from 1, both included. times: further times.

    Raises:
        KwsImuError: there are no such moves, or too many would come of it.

    """
    start, stop = _index(choreography, first), _index(choreography, last)
    if stop < start or not 1 <= times <= 100:
        raise KwsImuError(
            f'Moves {first} to {last}, {times} times again, cannot be repeated; give numbers in '
            'order and 1 to 100 times.'
        )
    part = choreography.moves[start : stop + 1]
    after = choreography.moves[stop + 1 :]
    end = _bar_end(choreography, part[0].beat, part[-1].end, after)
    span = end - part[0].beat
    again = [
        replace(move, beat=move.beat + span * time) for time in range(1, times + 1) for move in part
    ]
    shifted = [replace(move, beat=move.beat + span * times) for move in after]
    return replace(
        choreography,
        moves=(*choreography.moves[: stop + 1], *again, *shifted),
        phrases=_shifted(choreography, part[0].beat, span * times),
    )


def _bar_end(
    choreography: Choreography, start: float, end: float, after: tuple[Move, ...]
) -> float:
    """Return where a repeated part ends: a rest up to the next move or bar belongs to it."""
    bar = choreography.beats_per_bar
    whole = start + -(-(end - start) // bar) * bar
    return min(whole, after[0].beat) if after else whole


def mirror(choreography: Choreography) -> Choreography:
    """Swap left and right in what robot and arm do."""
    return replace(
        choreography,
        moves=tuple(
            replace(move, robot=mirrored(move.robot), arm=mirrored(move.arm))
            for move in choreography.moves
        ),
    )


def mirrored(label: str) -> str:
    """Return a label with left and right swapped: swipe_left, twist_right, circle_clk."""
    swap = {**MIRRORED, **{there: here for here, there in MIRRORED.items()}}
    return '_'.join(swap.get(part, part) for part in label.split('_'))


def stretch(choreography: Choreography, beats_per_minute: float) -> Choreography:
    """
    Give a dance another tempo; its beats stay.

    Raises:
        KwsImuError: nobody dances so slowly or fast.

    """
    return replace(choreography, beats_per_minute=beats_per_minute)


def join(first: Choreography, second: Choreography) -> Choreography:
    """
    Dance a second choreography after the first, from the next bar on, at the first one's tempo.

    Raises:
        KwsImuError: too many moves would come of it.

    """
    bar = first.beats_per_bar
    start = 1.0 + -(-(first.end - 1.0) // bar) * bar
    by = start - 1.0
    return replace(
        first,
        moves=(*first.moves, *(replace(move, beat=move.beat + by) for move in second.moves)),
        phrases=(
            *first.phrases,
            *(replace(phrase, beat=phrase.beat + by) for phrase in second.phrases),
        ),
    )


def take_phrase(choreography: Choreography, other: Choreography, name: str) -> Choreography:
    """
    Dance a phrase of another choreography at the end, from the next bar on.

    Raises:
        KwsImuError: there is no phrase of that name.

    """
    for phrase in other.phrases:
        if phrase.name == name:
            by = phrase.beat - 1.0
            moves = tuple(
                replace(move, beat=move.beat - by)
                for move in other.moves
                if phrase.beat <= move.beat < phrase.end
            )
            part = replace(other, moves=moves, phrases=(replace(phrase, beat=1.0),))
            return join(choreography, part)
    names = ', '.join(phrase.name for phrase in other.phrases) or 'none'
    raise KwsImuError(f'"{other.name}" has no phrase {name!r}; its phrases are: {names}.')


def rename(choreography: Choreography, name: str) -> Choreography:
    """
    Give a dance another name.

    Raises:
        KwsImuError: the name is empty or too long.

    """
    if not name.strip() or len(name) > LONGEST_NAME:
        raise KwsImuError(f'A dance needs a name of 1 to {LONGEST_NAME} letters.')
    return replace(choreography, name=name)


def _index(choreography: Choreography, number: int) -> int:
    if not 1 <= number <= len(choreography.moves):
        raise KwsImuError(
            f'"{choreography.name}" has no move {number}; it has {len(choreography.moves)}.'
        )
    return number - 1


class EditedFile:
    """
    A choreography file whose changes can be undone, also by a later process.

    What it held before each change lies in a hidden file beside it.
    """

    def __init__(self, path: Path) -> None:
        """Know the file. path: of the choreography."""
        self.path = path
        self._history = path.with_name(f'.{path.name}.undo')

    def apply(
        self, change: Callable[[Choreography], Choreography], before: Choreography
    ) -> Choreography:
        """
        Change the file.

        before: what the file holds.

        Raises:
            KwsImuError: the change is refused or cannot be written; the file stays as it is.

        """
        after = change(before)
        texts = [*self._texts(), self.path.read_text(encoding='utf-8')][-MOST_UNDONE:]
        write_whole(self._history, json.dumps(texts, ensure_ascii=False))
        save_choreography(self.path, after)
        return after

    def undo(self) -> Choreography:
        """
        Take the last change back.

        Raises:
            KwsImuError: there is none.

        """
        texts = self._texts()
        if not texts:
            raise KwsImuError(
                f'{self.path} was not changed by `kws-imu dance edit`; nothing to undo.'
            )
        before = parse_choreography(texts[-1], source=f'The version before of {self.path}')
        write_whole(self.path, texts[-1])
        write_whole(self._history, json.dumps(texts[:-1], ensure_ascii=False))
        return before

    def _texts(self) -> list[str]:
        try:
            found = json.loads(self._history.read_text(encoding='utf-8'))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise KwsImuError(
                f'{self._history} cannot be read; delete it, and changes begin anew.'
            ) from error
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise KwsImuError(f'{self._history} is damaged; delete it, and changes begin anew.')
        return found
