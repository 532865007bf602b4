"""
Look over folders of recordings before training: what is there, and what is wrong with it.

Knows the layouts that the loaders read: Speech Commands, GRWD, UCI HAPT raw data and the UCI HAR
inertial signals. A folder that holds several such folders is looked through.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kws_imu_ros.audio.block import SAMPLE_RATE
from kws_imu_ros.audio.sound_file import (
    SOUND_SUFFIXES,
    Oddity,
    SoundFault,
    SoundFileError,
    read_sound,
)
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.lab.data import activity_data, gesture_data
from kws_imu_ros.lab.data.findings import KINDS, Finding
from kws_imu_ros.lab.data.folders import (
    NOISE_FOLDER,
    READY_MADE,
    SILENCE_FOLDER,
    entries,
    survey_gestures,
    survey_speech,
    unread_below,
)
from kws_imu_ros.lab.data.speech_data import CLIP_SAMPLES, NOISE_SHARES, SHORTEST_NOISE
from kws_imu_ros.lab.data.splits import SPLITS, activity_split
from kws_imu_ros.lab.data.text_files import read_text

SILENT_PEAK = 33  # of 32768: -60 dBFS.
CLIPPED_RUN = 8
SHORTEST_S = 0.3
# Of a background recording, for one of the splits.
SMALLEST_SHARE = min(last - first for first, last in NOISE_SHARES.values())
# Its third signal, without gravity, is in the archive but not needed.
HAR_SIGNALS = (*activity_data.HAR_MOTION, *(f'body_acc_{axis}' for axis in 'xyz'))
HAR_WINDOW = activity_data.HAR_WINDOW

Progress = Callable[[int, int], None]


@dataclass
class Report:
    """
    What a folder holds.

    counts: (layout, class, split) -> recordings. people: (layout, split) -> speakers, subjects or
    users. seconds: layout -> total duration. levels: histogram data, layout -> list of peak values
    (dBFS for speech, rad/s for motion).
    """

    directory: Path
    layouts: list[str] = field(default_factory=list)
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    people: dict[tuple[str, str], set] = field(default_factory=lambda: defaultdict(set))
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    levels: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    findings: list[Finding] = field(default_factory=list)

    def add(self, kind: str, file: Path | str, detail: str) -> None:
        """Note something that is wrong."""
        self.findings.append(Finding(kind, printable(file), printable(detail)))


def detect_layout(directory: Path) -> str | None:
    """Return 'speech', 'gestures', 'hapt' or 'har', or None for no layout that is known."""
    activities = activity_data.activity_layout(directory)
    if activities and activities[1] == directory:
        return activities[0]
    if next(directory.glob('*/[Ss]ubject*/*.csv*'), None):
        return 'gestures'
    # One folder of unnamed sounds is not a vocabulary; two are.
    folders = 0
    for folder in entries(directory):
        names = [path.name for path in entries(folder)] if folder.is_dir() else []
        sounds = [name for name in names if name.lower().endswith(SOUND_SUFFIXES)]
        if any('_nohash_' in name for name in sounds):
            return 'speech'
        folders += bool(sounds)
    if folders >= 2:
        return 'speech'
    return None


def check(
    directory: Path,
    progress: Progress | None = None,
    words: Sequence[str] = (),
    gestures: Sequence[str] = (),
) -> Report:
    """
    Look through a folder.

    Args:
        directory: a folder of recordings, or of such folders.
        progress: called with (files done, files in all).
        words: labels of the voice; folders that are spelt otherwise are found.
        gestures: labels of the hand, likewise.

    Raises:
        KwsImuError: the folder is missing, or holds nothing of a known layout.

    """
    if not directory.is_dir():
        raise KwsImuError(f'{directory} is not a folder; give the folder of the recordings.')
    report = Report(directory)
    checks: dict[str, Callable[[Path, Report, Progress], None]] = {
        'speech': functools.partial(_check_speech, labels=words),
        'gestures': functools.partial(_check_gestures, labels=gestures),
        'hapt': _check_hapt,
        'har': _check_har,
    }
    found = [(directory, detect_layout(directory))]
    if found[0][1] is None:
        children = sorted(path for path in directory.glob('*') if path.is_dir())
        children += sorted(path for path in directory.glob('*/*') if path.is_dir())
        found = [(path, detect_layout(path)) for path in children]
    for folder, layout in found:
        if layout:
            report.layouts.append(layout)
            checks[layout](folder, report, progress or (lambda done, total: None))
    if not report.layouts:
        unread = unread_below(directory)
        raise KwsImuError(
            f'{printable(directory)} holds no recordings in a known layout: '
            '<word>/<speaker>_nohash_<n>.wav, <gesture>/subject_<k>/<i>.csv, '
            'acc_exp<e>_user<u>.txt or train/Inertial Signals/'
            + (f'; it holds {unread}, which are not read.' if unread else '.')
        )
    return report


def _digest(samples: np.ndarray) -> str:
    """Return a digest of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(samples).tobytes()).hexdigest()


def _longest_run(mask: np.ndarray) -> int:
    """Return the length of the longest run of True in a mask (n,)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _check_speech(
    directory: Path, report: Report, progress: Progress, labels: Sequence[str]
) -> None:
    """Look through word clips."""
    folder = survey_speech(directory, labels)
    report.findings += folder.findings
    noise = directory / NOISE_FOLDER
    if not noise.is_dir():
        report.add('missing', noise, 'no background recordings: silence cannot be trained')
    for name in folder.missing:
        report.add('missing', directory / name, 'an official list names it')
    files = [(NOISE_FOLDER, path, 'noise') for path in folder.noise]
    files += [(clip.word, clip.path, clip.split) for clip in folder.clips]
    for clip in folder.clips:
        if clip.word not in READY_MADE:
            report.people['speech', clip.split].add(clip.speaker)
    seen: dict[str, Path] = {}
    for done, (word, path, split) in enumerate(files, 1):
        if done % 50 == 0 or done == len(files):
            progress(done, len(files))
        report.counts['speech', word, split] += 1
        _check_clip(path, word, seen, report)


def _check_clip(path: Path, word: str, seen: dict[str, Path], report: Report) -> None:
    """Look at one audio file."""
    try:
        sound = read_sound(path)
    except SoundFileError as error:
        lacks = error.fault in (SoundFault.TRUNCATED, SoundFault.NOTHING)
        report.add('truncated' if lacks else 'unreadable', path, str(error))
        return
    seconds = len(sound.frames) / sound.rate
    report.seconds['speech'] += seconds
    if seconds < SHORTEST_S:
        report.add('truncated', path, f'only {seconds:.2f} s long')
    for remark in sound.remarks:
        report.add('odd sound', path, str(remark))
    if sound.rate != SAMPLE_RATE:
        report.add('wrong rate', path, f'{sound.rate} Hz; it will be resampled to 16000 Hz')
    channels = sound.frames.shape[1]
    if channels != 1:
        cancels = any(remark.oddity is Oddity.CANCELLING for remark in sound.remarks)
        fate = 'the loudest will be taken' if cancels else 'they will be averaged'
        report.add('not mono', path, f'{channels} channels; {fate}')
    peak = int(np.abs(sound.samples.astype(np.int32)).max(initial=0))
    report.levels['speech'].append(20.0 * np.log10(max(peak, 1) / 32768.0))
    if word == NOISE_FOLDER:
        if seconds * SMALLEST_SHARE * SAMPLE_RATE < SHORTEST_NOISE:
            report.add('short noise', path, f'{seconds:.1f} s; record at least 10 s')
        return
    if len(sound.samples) > CLIP_SAMPLES:
        report.add('long', path, f'{seconds:.2f} s')
    if peak < SILENT_PEAK and word != SILENCE_FOLDER:
        report.add('silent', path, f'the loudest sample is {peak} of 32768')
    full = np.abs(sound.frames.astype(np.int32)) >= 32767
    run = max(_longest_run(channel) for channel in full.T)
    if run >= CLIPPED_RUN:
        report.add('clipped', path, f'{run} samples in a row at full scale')
    if peak:
        _note_duplicate(path, sound.frames, seen, report)


def _note_duplicate(path: Path, values: np.ndarray, seen: dict[str, Path], report: Report) -> None:
    """Report a recording that was met before."""
    digest = _digest(values)
    if digest in seen:
        report.add('duplicate', path, f'equals {printable(seen[digest])}')
    seen.setdefault(digest, path)


def _check_gestures(
    directory: Path, report: Report, progress: Progress, labels: Sequence[str]
) -> None:
    """Look through gesture recordings."""
    folder = survey_gestures(directory, labels)
    report.findings += folder.findings
    seen: dict[str, Path] = {}
    read: list[tuple[int, str, np.ndarray, np.ndarray]] = []
    for done, take in enumerate(folder.takes, 1):
        if done % 50 == 0 or done == len(folder.takes):
            progress(done, len(folder.takes))
        report.counts['gestures', take.gesture, take.split] += 1
        report.people['gestures', take.split].add(take.subject)
        motion = _check_gesture(take.path, report)
        if motion is not None:
            read.append((take.subject, str(take.path), *motion))
            _note_duplicate(take.path, motion[1], seen, report)
    for file, finding in gesture_data.judge_gestures(read):
        report.add('implausible', file, finding.sentence)


def _check_gesture(path: Path, report: Report) -> tuple[np.ndarray, np.ndarray] | None:
    """Look at one gesture recording; return its times and motion where it can be read."""
    try:
        time, motion, dropped = gesture_data.read_gesture(path)
    except KwsImuError as error:
        report.add('unreadable', path, str(error))
        return None
    report.seconds['gestures'] += float(time[-1])
    if dropped:
        share = 100.0 * dropped / (dropped + len(time))
        report.add('corrupt rows', path, f'{dropped} rows ({share:.1f} %) are left out')
    speed = np.abs(motion[:, 3:])
    report.levels['gestures'].append(float(speed.max()))
    stuck = int((speed >= 32767 * gesture_data.ANGULAR_VELOCITY_LSB).sum())
    if stuck:
        report.add('saturated', path, f'{stuck} gyroscope values at the end of the range')
    rate = len(time) / max(float(time[-1]), 1e-3)
    if not 40.0 <= rate <= 1000.0:
        report.add('wrong rate', path, f'{rate:.0f} Hz on average; at least 40 Hz are needed')
    _check_motion(path, motion, report)
    return time, motion


def _check_motion(path: Path, motion: np.ndarray, report: Report) -> None:
    """Look for values that no working sensor gives, in motion (n, 6)."""
    if not np.isfinite(motion).all():
        bad = int((~np.isfinite(motion)).any(axis=1).sum())
        report.add('not finite', path, f'{bad} of {len(motion)} rows')
    for axis, values in zip(('ax', 'ay', 'az', 'gx', 'gy', 'gz'), motion.T, strict=False):
        if len(values) > 1 and np.ptp(values) == 0.0:
            report.add('flat', path, f'{axis} is {values[0]:g} throughout')


def _check_hapt(directory: Path, report: Report, progress: Progress) -> None:
    """Look through continuous everyday motion."""
    files = sorted(directory.glob('acc_exp*_user*.txt*'))
    labels = directory / 'labels.txt'
    if not labels.is_file():
        report.add('missing', labels, 'activities cannot be told apart without it')
    for path in sorted(directory.glob('gyro_exp*_user*.txt*')):
        partner = path.with_name(path.name.replace('gyro_', 'acc_', 1))
        if not partner.is_file():
            report.add('missing', partner, f'{path.name} is there')
    lengths: dict[int, int] = {}
    seen: dict[str, Path] = {}
    for done, path in enumerate(files, 1):
        progress(done, len(files))
        match = re.match(r'acc_exp(\d+)_user(\d+)\.txt', path.name)
        gyro = path.with_name(path.name.replace('acc_', 'gyro_', 1))
        if not match:
            continue
        split = activity_split(int(match[2]))
        report.counts['hapt', f'user {int(match[2]):02d}', split] += 1
        report.people['hapt', split].add(int(match[2]))
        if not gyro.is_file():
            report.add('missing', gyro, f'{path.name} is there')
            continue
        try:
            acceleration = activity_data.read_table(path, 3)
            angular = activity_data.read_table(gyro, 3)
        except KwsImuError as error:
            report.add('unreadable', path, str(error))
            continue
        if len(acceleration) != len(angular):
            report.add('mismatch', path, f'{len(acceleration)} rows, {gyro.name} {len(angular)}')
        rows = min(len(acceleration), len(angular))
        motion = np.concatenate((acceleration[:rows], angular[:rows]), axis=1)
        in_si = motion * activity_data.TO_SI
        for problem in activity_data.judge_activity(in_si[np.isfinite(in_si).all(axis=1)]):
            report.add('implausible', path, problem)
        lengths[int(match[1])] = rows
        report.seconds['hapt'] += rows / activity_data.RATE_HZ
        report.levels['hapt'].append(float(np.nanmax(np.abs(angular), initial=0.0)))
        _check_motion(path, motion, report)
        _note_duplicate(path, motion, seen, report)
    if labels.is_file():
        _check_labels(labels, lengths, report)


def _check_labels(labels: Path, lengths: dict[int, int], report: Report) -> None:
    """Compare labels.txt with the recordings."""
    for number, line in enumerate(read_text(labels).splitlines(), 1):
        where = f'{labels}:{number}'
        try:
            experiment, _, activity, first, last = (int(value) for value in line.split())
        except ValueError:
            report.add('corrupt rows', where, f"'{line[:40]}' is not five whole numbers")
            continue
        if experiment not in lengths:
            continue  # Labels of recordings that were not copied do no harm.
        if not 1 <= activity <= 12 or not 1 <= first <= last <= lengths[experiment]:
            report.add(
                'mismatch',
                where,
                f'activity {activity}, rows {first} to {last} of {lengths[experiment]}',
            )


def _check_har(directory: Path, report: Report, progress: Progress) -> None:
    """Look through the UCI HAR inertial signals."""
    files = [f'Inertial Signals/{signal}' for signal in HAR_SIGNALS] + ['y', 'subject']
    total, done = len(activity_data.HAR_PARTS) * len(files), 0
    for part in activity_data.HAR_PARTS:
        tables: dict[str, np.ndarray] = {}
        if not (directory / part).is_dir():
            report.add('missing', directory / part, 'it belongs to the layout')
            continue
        for name in files:
            done += 1
            progress(done, total)
            path = directory / part / f'{name}_{part}.txt'
            if not path.is_file():
                report.add('missing', path, 'it belongs to the layout')
                continue
            signal = name not in ('y', 'subject')
            try:
                table = activity_data.read_table(path, HAR_WINDOW if signal else 1)
            except KwsImuError as error:
                report.add('corrupt rows', path, str(error))
                continue
            bad = int((~np.isfinite(table)).sum())
            if bad:
                report.add('not finite', path, f'{bad} values')
            elif signal and np.ptp(table) == 0.0:
                report.add('flat', path, f'{table[0, 0]:g} throughout')
            if 'gyro' in name:
                report.levels['har'].extend(np.nanmax(np.abs(table), axis=1, initial=0.0).tolist())
            tables[name] = table
        if len({len(table) for table in tables.values()}) > 1:
            rows = ', '.join(f'{name} {len(table)}' for name, table in tables.items())
            report.add('mismatch', directory / part, f'files of different length: {rows}')
        if 'y' in tables and 'subject' in tables:
            _count_har_windows(tables['y'][:, 0], tables['subject'][:, 0], report)


def _count_har_windows(activities: np.ndarray, users: np.ndarray, report: Report) -> None:
    """Count windows by activity and split; activities and users are float (n,)."""
    for activity, user in zip(activities, users, strict=False):
        if not np.isfinite((activity, user)).all():
            continue
        split, number = activity_split(int(user)), int(activity)
        known = 1 <= number <= len(activity_data.ACTIVITIES)
        name = activity_data.ACTIVITIES[number - 1] if known else f'activity {number}'
        if not known:
            report.add('mismatch', f'user {int(user)}', f'activity {number} is not one of the six')
        report.counts['har', name, split] += 1
        report.people['har', split].add(int(user))
    # Windows of 2.56 s overlap by half.
    report.seconds['har'] += len(activities) * 1.28


def to_text(report: Report, limit: int | None = 10) -> str:
    """Return the report for a terminal, with at most `limit` findings of each kind."""
    lines = []
    people = {'speech': 'speakers', 'gestures': 'subjects', 'hapt': 'users', 'har': 'users'}
    for layout in dict.fromkeys(report.layouts):
        cells = {key[1:]: n for key, n in report.counts.items() if key[0] == layout}
        splits = [s for s in (*SPLITS, 'noise') if any(key[1] == s for key in cells)]
        lines.append(
            f'{layout}: {sum(cells.values())} recordings, {report.seconds[layout] / 60.0:.1f} min'
        )
        width = max([len(name) for name, _ in cells] + [len(people[layout]), 8])
        lines.append('  ' + ' ' * width + ''.join(f'{split:>12}' for split in splits))
        for name in sorted({name for name, _ in cells}):
            row = ''.join(f'{cells.get((name, split), 0):>12}' for split in splits)
            lines.append(f'  {name:<{width}}{row}')
        row = ''.join(f'{len(report.people.get((layout, s), ())) or "":>12}' for s in splits)
        lines.append(f'  {people[layout]:<{width}}{row}')
        lines.append('')
    if not report.findings:
        lines.append('Nothing is wrong.')
    by_kind: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_kind[finding.kind].append(finding)
    for kind, findings in by_kind.items():
        lines.append(f'{kind}: {len(findings)} ({KINDS[kind]})')
        for finding in findings[:limit]:
            lines.append(f'  {finding.file}: {finding.detail}')
        if limit is not None and len(findings) > limit:
            lines.append(f'  and {len(findings) - limit} more (--all shows them)')
    return '\n'.join(lines)


def to_json(report: Report) -> dict:
    """Return the report as plain values."""
    return {
        'directory': str(report.directory),
        'layouts': report.layouts,
        'counts': [
            {'layout': layout, 'class': name, 'split': split, 'recordings': n}
            for (layout, name, split), n in sorted(report.counts.items())
        ],
        'people': [
            {'layout': layout, 'split': split, 'count': len(names)}
            for (layout, split), names in sorted(report.people.items())
        ],
        'seconds': {layout: round(value, 1) for layout, value in report.seconds.items()},
        'findings': [vars(finding) for finding in report.findings],
    }


def plot(report: Report, path: Path) -> None:
    """
    Draw counts by class and split, peak levels, and findings, as a PNG.

    Raises:
        KwsImuError: the file cannot be written.

    """
    from matplotlib.figure import Figure

    layouts = list(dict.fromkeys(report.layouts))
    tallest = max(len({key[1] for key in report.counts if key[0] == one}) for one in layouts)
    figure = Figure(figsize=(13, 1.2 + (1.0 + 0.19 * tallest) * len(layouts) + 2.2))
    figure.set_layout_engine('constrained')
    axes = figure.subplots(len(layouts) + 1, 2, squeeze=False)
    colours = {
        'training': '#4477aa',
        'validation': '#ccbb44',
        'testing': '#aa3377',
        'noise': '#bbbbbb',
    }
    for row, layout in enumerate(layouts):
        names = sorted({key[1] for key in report.counts if key[0] == layout}, reverse=True)
        left = np.zeros(len(names))
        for split, colour in colours.items():
            values = np.array([report.counts[layout, name, split] for name in names])
            if values.any():
                axes[row, 0].barh(names, values, left=left, color=colour, label=split)
                left += values
        axes[row, 0].set_title(f'{layout}: recordings by class and split')
        axes[row, 0].legend(fontsize=8)
        axes[row, 0].tick_params(axis='y', labelsize=7)
        unit = 'peak level, dBFS' if layout == 'speech' else 'peak angular velocity, rad/s'
        axes[row, 1].hist(report.levels[layout], bins=40, color='#228833')
        axes[row, 1].set_title(f'{layout}: {unit}')
    kinds = Counter(finding.kind for finding in report.findings)
    bottom = axes[len(layouts), 0]
    if kinds:
        bars = bottom.barh(list(kinds), list(kinds.values()), color='#ee6677')
        bottom.bar_label(bars)
    bottom.set_title('findings' if kinds else 'findings: none')
    axes[len(layouts), 1].axis('off')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100, format='png')
    except OSError as error:
        raise KwsImuError(f'{path} cannot be written: {error.strerror}.') from error
