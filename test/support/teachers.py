"""A dance of the arm with a teacher's recording beside it, as files."""

from __future__ import annotations

from pathlib import Path

import wrist

from kws_imu_ros.choreography.choreography import Choreography, Move
from kws_imu_ros.choreography.file import save_choreography
from kws_imu_ros.coach.reference import add_take, cut_spans, reference_folder

FIRST_S = 1.5
DANCE = Choreography(
    'Arms',
    60.0,
    1,
    (Move(1.0, 2.0, reference='left', text='Left'), Move(3.0, 2.0, reference='up', text='Up')),
)
PERFECT = (('left', FIRST_S, 0.9), ('up', FIRST_S + 2.0, 0.9))
LENGTH_S = FIRST_S + 5.0


def save_reference(folder: Path) -> tuple[Path, Path]:
    """Return a choreography file and the folder of its reference, both new in a folder."""
    path = folder / 'arms.yaml'
    save_choreography(path, DANCE)
    spans = cut_spans(DANCE, round(FIRST_S * 1e9))
    for seed in (1, 2):
        taught = wrist.samples(wrist.dance(PERFECT, LENGTH_S, seed=seed))
        add_take(reference_folder(path), DANCE.name, taught, spans)
    return path, reference_folder(path)
