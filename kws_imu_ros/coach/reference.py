"""
The teacher's recordings, kept beside the choreography: MCAP files and an index.

    first_dance.reference/
        index.yaml
        take_1/   a bag with the topic imu/data_raw
        take_2/
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kws_imu_ros.bags.reading import (
    IMU_TOPIC,
    BadMessages,
    read_raw,
    read_sensors,
    summarize_bag,
    typestore,
)
from kws_imu_ros.bags.writing import BagWriter
from kws_imu_ros.choreography.choreography import BeatTimes, Choreography
from kws_imu_ros.coach.coach import LONGEST_GAP_NS, arm_moves
from kws_imu_ros.coach.frame import WristMotion
from kws_imu_ros.coach.teacher import Cut, Teacher
from kws_imu_ros.configuration.section import load_yaml
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.imu.recording import read_recording
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.messages.factory import BagMessages
from kws_imu_ros.messages.imu import imu_sample_to_message
from kws_imu_ros.resources import write_whole

SCHEMA_VERSION = 1
INDEX = 'index.yaml'
BEAT_TOPIC = 'beat'
BEAT_TYPE = 'std_msgs/msg/UInt32'
MOST_TAKES = 20
MOST_MOVES = 2000
LATEST_NS = 1 << 62
_BAG_NAME = re.compile(r'take_[1-9][0-9]?')
# Around a cut, for gravity at rest and for moves that begin early.
_AROUND_NS = 1_500_000_000


@dataclass(frozen=True)
class Span:
    """When a move was danced in a take. name: what the arm does; times in ns of the samples."""

    name: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class TakeEntry:
    """A take of the index. bag: name of its folder. spans: its moves, in order."""

    bag: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class ReferenceIndex:
    """What a reference holds. choreography: name of the dance."""

    choreography: str
    takes: tuple[TakeEntry, ...]


def reference_folder(choreography: Path) -> Path:
    """Return where the reference of a choreography file is kept."""
    return choreography.with_suffix('.reference')


def read_wrist(path: Path, imu_topic: str = IMU_TOPIC) -> tuple[ImuSample, ...]:
    """
    Return the IMU samples of a bag or of a csv file.

    Raises:
        KwsImuError: it is neither, cannot be read, or holds no motion.

    """
    if _is_csv(path):
        return read_recording(path).samples
    samples = tuple(
        message.content
        for message in read_sensors(path, imu_topic=imu_topic, bad=BadMessages())
        if isinstance(message.content, ImuSample)
    )
    if len(samples) < 2:
        raise KwsImuError(
            f'Bag {printable(path)} holds no motion on {imu_topic}; name its IMU topic.'
        )
    return samples


def first_beat_ns(path: Path, samples: Sequence[ImuSample], given_s: float | None) -> int:
    """
    Return when beat 1 falls in a recording, on the clock of its samples.

    Args:
        path: of the recording.
        samples: of it.
        given_s: what a person says, from the first sample; None to look for the topic `beat`.

    Raises:
        KwsImuError: nobody says where it lies, or it lies outside of the recording.

    """
    start_ns, end_ns = samples[0].stamp_ns, samples[-1].stamp_ns
    if given_s is None:
        first_ns = None if _is_csv(path) else _first_beat_of(path)
        if first_ns is None:
            raise KwsImuError(
                f'{printable(path)} does not say when the dance begins; give --first-beat in '
                'seconds from its first sample.'
            )
    else:
        first_ns = start_ns + round(given_s * 1e9)
    if not start_ns <= first_ns <= end_ns:
        raise KwsImuError(
            f'The first beat, {(first_ns - start_ns) / 1e9:.1f} s after the first sample, lies '
            f'outside of {printable(path)}, which lasts {(end_ns - start_ns) / 1e9:.1f} s; correct '
            '--first-beat.'
        )
    return first_ns


def _first_beat_of(bag: Path) -> int | None:
    """Return the time of the last beat 1 on the topic `beat` of a bag, None where it has none."""
    topic = summarize_bag(bag).find(BEAT_TOPIC, BEAT_TYPE)
    if topic is None or topic.type != BEAT_TYPE:
        return None
    found = None
    for raw in read_raw(bag, [BEAT_TOPIC]):
        if len(raw.data) >= 8 and typestore().deserialize_cdr(raw.data, raw.type).data == 1:
            found = raw.stamp_ns
    return found


def _is_csv(path: Path) -> bool:
    return path.is_file() and path.suffix not in ('.mcap', '.db3')


def cut_spans(
    choreography: Choreography, first_beat_ns: int, beats: BeatTimes | None = None
) -> tuple[Span, ...]:
    """Return when the arm's moves of a dance lie whose first beat falls at a time."""
    beats = beats or BeatTimes(choreography.period_ns)
    return tuple(
        Span(
            move.name,
            first_beat_ns + beats.time_ns(move.beat),
            first_beat_ns + beats.time_ns(move.end),
        )
        for move in arm_moves(choreography)
    )


def add_take(
    folder: Path, choreography: str, samples: Sequence[ImuSample], spans: Sequence[Span]
) -> TakeEntry:
    """
    Keep a recording of the teacher; return its entry in the index.

    The index is written last, so that a take is there whole or not at all.

    Raises:
        KwsImuError: the recording does not last for all moves, there are too many takes, or the
            folder cannot be written.

    """
    _check_whole(samples, spans)
    index = read_index(folder) if (folder / INDEX).exists() else ReferenceIndex(choreography, ())
    if len(index.takes) >= MOST_TAKES:
        raise KwsImuError(
            f'{printable(folder)} holds {MOST_TAKES} takes already; delete the reference first.'
        )
    used = {take.bag for take in index.takes}
    bag = next(name for n in range(1, 100) if (name := f'take_{n}') not in used)
    # What a recording that was interrupted left there.
    shutil.rmtree(folder / bag, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    messages = BagMessages(typestore())
    with BagWriter(folder / bag) as writer:
        for sample in samples:
            message = imu_sample_to_message(sample, messages=messages)
            writer.write_message(IMU_TOPIC, sample.stamp_ns, message)
    entry = TakeEntry(bag, tuple(spans))
    write_index(folder, ReferenceIndex(index.choreography, (*index.takes, entry)))
    return entry


def _check_whole(samples: Sequence[ImuSample], spans: Sequence[Span]) -> None:
    if not spans:
        raise KwsImuError('No move of the dance has an arm or a reference; add one.')
    motion = WristMotion.of(samples)
    for number, span in enumerate(spans, 1):
        gap_ns = motion.longest_gap_ns(span.start_ns, span.end_ns)
        if gap_ns > LONGEST_GAP_NS or len(motion.between(span.start_ns, span.end_ns).stamps_ns) < 4:
            raise KwsImuError(
                f'The recording has a gap of {gap_ns / 1e9:.1f} s in move {number} '
                f'("{span.name}"); record the whole dance, and say with --first-beat where its '
                'first beat lies.'
            )


def write_index(folder: Path, index: ReferenceIndex) -> None:
    """
    Write the index of a reference, whole or not at all.

    Raises:
        KwsImuError: it cannot be written.

    """
    lines = [
        '# Movements of a teacher, recorded by `kws-imu dance record`; times are ns of the bags.\n',
        f'schema: {SCHEMA_VERSION}\n',
        f'choreography: {_quoted(index.choreography)}\n',
        'takes:\n' if index.takes else 'takes: []\n',
    ]
    for take in index.takes:
        lines.append(f'  - bag: {take.bag}\n    moves:\n')
        lines += (
            f'      - {{name: {_quoted(span.name)}, start_ns: {span.start_ns}, '
            f'end_ns: {span.end_ns}}}\n'
            for span in take.spans
        )
    write_whole(folder / INDEX, ''.join(lines))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def read_index(folder: Path) -> ReferenceIndex:
    """
    Read the index of a reference.

    Raises:
        KwsImuError: it is missing, is not YAML, or an entry is missing, unknown or wrong.

    """
    if not (folder / INDEX).is_file():
        raise KwsImuError(
            f'{printable(folder)} holds no reference of a teacher; make one with `kws-imu dance '
            'record`.'
        )
    top = load_yaml(folder / INDEX, 'reference index').holding(('schema', 'choreography', 'takes'))
    top.version('schema', SCHEMA_VERSION)
    sections = top.sections('takes', ('bag', 'moves'))
    if len(sections) > MOST_TAKES:
        raise top.wrong('takes', f'are {len(sections)}, but at most {MOST_TAKES} can be kept')
    takes = []
    for section in sections:
        moves = section.sections('moves', ('name', 'start_ns', 'end_ns'))
        if len(moves) > MOST_MOVES:
            raise section.wrong('moves', f'are {len(moves)}, but at most {MOST_MOVES} are danced')
        spans = []
        for move in moves:
            start_ns = move.integer('start_ns', 0, LATEST_NS)
            end_ns = move.integer('end_ns', 0, LATEST_NS)
            if end_ns <= start_ns:
                raise move.wrong('end_ns', 'is not after start_ns')
            spans.append(Span(move.text('name'), start_ns, end_ns))
        takes.append(TakeEntry(section.text('bag', _BAG_NAME), tuple(spans)))
    return ReferenceIndex(top.text('choreography'), tuple(takes))


def load_teacher(folder: Path) -> Teacher:
    """
    Return the teacher of a reference.

    Raises:
        KwsImuError: the reference is missing, damaged, or holds no movement at all.

    """
    cuts = []
    for take in read_index(folder).takes:
        motion = WristMotion.of(read_wrist(folder / take.bag))
        cuts += [
            Cut(
                span.name,
                span.start_ns,
                span.end_ns,
                motion.between(span.start_ns - _AROUND_NS, span.end_ns + _AROUND_NS),
            )
            for span in take.spans
        ]
    teacher = Teacher.of(cuts)
    if not teacher.names:
        raise KwsImuError(
            f'{printable(folder)} holds no movement: the wrist rested; record the teacher again.'
        )
    return teacher


def delete_reference(folder: Path) -> int:
    """
    Delete a reference with all its recordings; return how many takes there were.

    Only what a reference holds is deleted, so that no other folder can be emptied by mistake.

    Raises:
        KwsImuError: the folder holds no reference, or something cannot be deleted.

    """
    index = read_index(folder)
    bags = [path for path in folder.iterdir() if _BAG_NAME.fullmatch(path.name)]
    for path in bags:
        shutil.rmtree(path)
    (folder / INDEX).unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
    return len(index.takes)
