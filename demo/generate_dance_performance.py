"""
Build the wrists of the dance's demo from real recordings: a teacher twice, a pupil with two faults.

    python demo/generate_dance_performance.py --gestures DIR

DIR is a folder in the layout of GRWD (`<gesture>/subject_<k>/<i>.csv[.gz]`). Teacher and pupil
are two validation subjects; their movements are put on the beats of the dance of demo/dance, as
`kws-imu dance evaluate` does. Move 3 comes a third of a second late and move 4 goes the other
way. The first two people and takes are used with whom the coach finds both and nothing else:
the demo shows what it says, not how often it errs; for that, see `kws-imu dance evaluate`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kws_imu_ros.bags.reading import IMU_TOPIC, typestore
from kws_imu_ros.bags.writing import BagWriter
from kws_imu_ros.choreography.choreography import Choreography
from kws_imu_ros.choreography.file import load_choreography
from kws_imu_ros.coach.coach import Coach, arm_name
from kws_imu_ros.coach.findings import FindingKind
from kws_imu_ros.coach.frame import WristMotion
from kws_imu_ros.coach.recorded import watch_recording
from kws_imu_ros.coach.reference import (
    BEAT_TOPIC,
    ReferenceIndex,
    TakeEntry,
    cut_spans,
    load_teacher,
    write_index,
)
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.lab.data.gesture_data import load_gestures
from kws_imu_ros.lab.evaluation.coaching import (
    FIRST_BEAT_NS,
    OPPOSITES,
    Dancers,
    Piece,
    dance_motion,
)
from kws_imu_ros.messages.factory import BagMessages
from kws_imu_ros.messages.imu import imu_sample_to_message
from kws_imu_ros.model.bundle import find_bundle, load_bundle
from kws_imu_ros.model.interpreter import Interpreter

HERE = Path(__file__).resolve().parent / 'dance'
START_NS = 1_767_225_600_000_000_000  # As in generate_demo_bag.py.
LATE_MOVE, LATE_S = 2, 0.33
TURNED_MOVE = 3
TAKES = 2


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n', maxsplit=1)[0].strip())
    parser.add_argument('--gestures', type=Path, required=True, help='GRWD folder')
    args = parser.parse_args()
    try:
        dance = load_choreography(HERE / 'arms.yaml')
        dancers = Dancers(load_gestures(args.gestures, 'validation'))
        interpreter = Interpreter(load_bundle(find_bundle()))
        for teacher, pupil, _ in dancers.pairs(8):
            for seed in range(4):
                if _make(dance, dancers, teacher, pupil, seed, interpreter):
                    return 0
    except KwsImuError as error:
        print(f'generate_dance_performance: {error}', file=sys.stderr)
        return 2
    print('No pair of people shows both faults and nothing else.', file=sys.stderr)
    return 1


def _make(
    dance: Choreography,
    dancers: Dancers,
    teacher: int,
    pupil: int,
    seed: int,
    interpreter: Interpreter,
) -> bool:
    """Write the bags of two people; return whether the coach finds what is wrong."""
    rng = np.random.default_rng(seed)
    names = [arm_name(move) for move in dance.moves]
    slot_s = dance.moves[0].beats * dance.period_ns / 1e9
    if not {*names} <= {*dancers.gestures_of(teacher)} & {*dancers.gestures_of(pupil)}:
        return False
    folder = HERE / 'reference'
    shutil.rmtree(folder, ignore_errors=True)
    spans = cut_spans(dance, START_NS + FIRST_BEAT_NS)
    entries = []
    for number, take in enumerate(dancers.draw(teacher, sorted({*names}), TAKES, rng), 1):
        pieces = [Piece(take[name], slot_s * place) for place, name in enumerate(names)]
        _write_bag(folder / f'take_{number}', dance_motion(pieces, slot_s, rng)[0])
        entries.append(TakeEntry(f'take_{number}', spans))
    write_index(folder, ReferenceIndex(dance.name, tuple(entries)))
    (take,) = dancers.draw(pupil, sorted({*names}), 1, rng)
    pieces = []
    for place, name in enumerate(names):
        danced = OPPOSITES[name] if place == TURNED_MOVE else name
        late_s = LATE_S if place == LATE_MOVE else 0.0
        pieces.append(Piece(take[danced], slot_s * place + late_s))
    motion, _ = dance_motion(pieces, slot_s, rng)
    _write_bag(HERE / 'performance', motion, beat=True)

    coach = Coach(dance, load_teacher(folder), gestures=interpreter.manifest.labels['gesture'])
    findings = watch_recording(coach, _samples(motion), START_NS + FIRST_BEAT_NS, interpreter)
    kinds = [finding.kind for finding in findings]
    wanted = [FindingKind.RIGHT] * len(names)
    wanted[LATE_MOVE], wanted[TURNED_MOVE] = FindingKind.LATE, FindingKind.OTHER_DIRECTION
    print(f'teacher {teacher}, pupil {pupil}, {seed}: {", ".join(kind.value for kind in kinds)}')
    return kinds == wanted


def _samples(motion: WristMotion) -> list[ImuSample]:
    return [
        ImuSample(START_NS + int(stamp), tuple(row[:3]), tuple(row[3:]))
        for stamp, row in zip(motion.stamps_ns, motion.values.tolist(), strict=True)
    ]


def _write_bag(path: Path, motion: WristMotion, beat: bool = False) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    messages = BagMessages(typestore())
    entries: list[tuple[int, str, object]] = [
        (sample.stamp_ns, IMU_TOPIC, imu_sample_to_message(sample, messages=messages))
        for sample in _samples(motion)
    ]
    if beat:
        first = messages.make('std_msgs/msg/UInt32', data=1)
        entries.append((START_NS + FIRST_BEAT_NS, BEAT_TOPIC, first))
    with BagWriter(path, compress=True) as writer:
        for stamp_ns, topic, message in sorted(entries, key=_stamp_of):
            writer.write_message(topic, stamp_ns, message)


def _stamp_of(entry: Sequence[object]) -> object:
    return entry[0]


if __name__ == '__main__':
    sys.exit(main())
