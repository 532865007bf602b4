"""
Build the demo bag from real recordings, as scenario.yaml tells.

    python demo/generate_demo_bag.py --speech DIR --gestures DIR [--choose]

DIR are folders in the public layouts: Speech Commands (`<word>/<speaker>_nohash_<n>.ogg|wav|flac`,
with `_background_noise_/`) and GRWD (`<gesture>/subject_<k>/<i>.csv[.gz]`). The bag, demo/bag, is
written anew, byte for byte the same for the same inputs.

What a pupil would do is put together from what people did: words of validation speakers over quiet
room noise, wrist gestures of validation subjects. Between two gestures the arm rests: the recorded
sensor noise of the rest before the gesture goes on, and the mean passes slowly from the posture of
the one recording to that of the next. Nothing else is synthetic.

`--choose` replaces the clips of every event that the shipped model does not play as expected by the
next best of the same word or gesture, ranked by how clean the recording is (not by the model), and
writes the choice into scenario.yaml. As expected means: also a little louder or fainter, with the
blocks of sound falling otherwise into hops, and with the IMU late, as on a loaded machine. For a
word that must be weak, a clip and a level are found at which it is. `--list WORD` prints that
ranking.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import yaml

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.bags.reading import (
    AUDIO_TOPIC,
    IMU_TOPIC,
    SensorMessage,
    read_sensors,
    typestore,
)
from kws_imu_ros.bags.writing import BagWriter
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.lab.data.gesture_data import ANGULAR_VELOCITY_LSB, motion_span, read_gesture
from kws_imu_ros.lab.data.splits import gesture_split, speech_split
from kws_imu_ros.messages.audio import audio_block_to_message
from kws_imu_ros.messages.factory import BagMessages
from kws_imu_ros.messages.imu import imu_sample_to_message
from kws_imu_ros.replay.run_log import RunLog
from kws_imu_ros.replay.scenario import Judgement, judge, load_scenario

HERE = Path(__file__).resolve().parent
RATE = 16_000
BLOCK = 320
START_NS = 1_767_225_600_000_000_000  # 2026-01-01 00:00:00 UTC; any time will do, but a fixed one.
IMU_STEP_NS = 10_000_000
POSTURE_CHANGE_NS = 1_200_000_000
MAXIMUM_BYTES = 3_000_000


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n', maxsplit=1)[0].strip())
    parser.add_argument('--speech', type=Path, required=True, help='Speech Commands folder')
    parser.add_argument('--gestures', type=Path, required=True, help='GRWD folder')
    parser.add_argument('--scenario', type=Path, default=HERE / 'scenario.yaml')
    parser.add_argument('--bag', type=Path, default=HERE / 'bag')
    parser.add_argument('--choose', action='store_true', help='replace clips that do not play')
    parser.add_argument('--model', default='', help='bundle for --choose')
    parser.add_argument('--list', metavar='WORD', help='print the ranking of a word or gesture')
    args = parser.parse_args()
    try:
        if args.list:
            for name in _ranking(args, args.list)[:20]:
                print(name)
        elif args.choose:
            _choose(args)
        else:
            _write_bag(args)
    except KwsImuError as error:
        print(f'generate_demo_bag: {error}', file=sys.stderr)
        return 2
    return 0


def _write_bag(args: argparse.Namespace) -> None:
    """Write the bag of the scenario."""
    scenario = yaml.safe_load(args.scenario.read_text(encoding='utf-8'))
    audio = _audio_track(scenario, args.speech)
    stamps, imu = _imu_track(scenario, args.gestures)
    entries: list[tuple[int, str, object]] = []
    messages = BagMessages(typestore())
    for sequence in range(len(audio) // BLOCK):
        samples = audio[sequence * BLOCK : (sequence + 1) * BLOCK]
        stamp_ns = START_NS + sequence * BLOCK * 1_000_000_000 // RATE
        block = AudioBlock(stamp_ns, sequence, RATE, samples)
        # A block can be known only when its last sample has been heard.
        entries.append((block.end_ns, AUDIO_TOPIC, audio_block_to_message(block, messages)))
    for stamp_ns, row in zip(stamps, imu, strict=True):
        values = tuple(float(value) for value in row)
        sample = ImuSample(START_NS + int(stamp_ns), values[:3], values[3:])
        entries.append(
            (sample.stamp_ns, IMU_TOPIC, imu_sample_to_message(sample, messages=messages))
        )
    entries.sort(key=lambda entry: entry[0])
    shutil.rmtree(args.bag, ignore_errors=True)
    with BagWriter(args.bag, compress=True) as writer:
        for stamp_ns, topic, message in entries:
            writer.write_message(topic, stamp_ns, message)
    size = sum(file.stat().st_size for file in args.bag.iterdir())
    print(f'{args.bag}: {len(entries)} messages, {len(audio) / RATE:.1f} s, {size} bytes')
    if size > MAXIMUM_BYTES:
        raise KwsImuError(f'{args.bag} is larger than {MAXIMUM_BYTES} bytes; shorten the scenario.')


# Sound


def _audio_track(scenario: dict, folder: Path) -> np.ndarray:
    """Return the whole sound as int16 (n,)."""
    count = int(scenario['duration_s'] * RATE) // BLOCK * BLOCK
    track = np.zeros(count)
    background = scenario['background']
    _mix_noise(track, folder, {**background, 'at_s': 0.0, 'duration_s': scenario['duration_s']})
    for event in scenario['events']:
        if 'noise' in event:
            _mix_noise(track, folder, event['noise'])
        if 'say' in event:
            say = event['say']
            clip = _fade(_read_clip(folder, say['clip']), 0.01)
            clip *= 10 ** (say['level_dbfs'] / 20) / _speech_level(clip)
            start = round(say['at_s'] * RATE)
            track[start : start + len(clip)] += clip
    peak = np.max(np.abs(track))
    if peak >= 1.0:
        raise KwsImuError(f'The mixed sound clips at {peak:.2f}; lower a level in the scenario.')
    return np.round(track * 32767).astype(np.int16)


def _mix_noise(track: np.ndarray, folder: Path, noise: dict) -> None:
    samples = _read_sound(folder / '_background_noise_' / noise['recording'])
    count = round(noise['duration_s'] * RATE)
    first = round(noise.get('from_s', 0.0) * RATE)
    piece = _fade(np.resize(samples[first:], count), min(0.2, noise['duration_s'] / 4))
    piece *= 10 ** (noise['level_dbfs'] / 20) / np.sqrt(np.mean(piece**2))
    start = round(noise['at_s'] * RATE)
    track[start : start + count] += piece[: len(track) - start]


def _read_clip(folder: Path, name: str) -> np.ndarray:
    if speech_split(name) != 'validation':
        raise KwsImuError(f'{name} is not of a validation speaker; choose another clip.')
    return _read_sound(folder / name)


def _read_sound(path: Path) -> np.ndarray:
    """Return a mono recording as float64 (n,) in -1 to 1."""
    try:
        samples, rate = soundfile.read(path)
    except (OSError, soundfile.SoundFileError) as error:
        raise KwsImuError(f'{path} cannot be read ({error}); check the folder.') from error
    if rate != RATE or samples.ndim != 1:
        raise KwsImuError(f'{path} is not {RATE} Hz mono; convert it first.')
    return samples


def _fade(samples: np.ndarray, seconds: float) -> np.ndarray:
    ramp = np.linspace(0.0, 1.0, round(seconds * RATE))
    faded = samples.copy()
    faded[: len(ramp)] *= ramp
    faded[-len(ramp) :] *= ramp[::-1]
    return faded


def _frame_levels(clip: np.ndarray) -> np.ndarray:
    """Return the root mean square of each 20 ms, float64 (n,)."""
    frames = clip[: len(clip) // BLOCK * BLOCK].reshape(-1, BLOCK)
    return np.sqrt(np.mean(frames**2, axis=1)) + 1e-7


def _speech_level(clip: np.ndarray) -> float:
    """Return the root mean square of the loud part of a clip: the word, not the pause around it."""
    levels = _frame_levels(clip)
    return float(np.sqrt(np.mean(levels[levels > 0.25 * levels.max()] ** 2)))


def _cleanliness(clip: np.ndarray) -> float:
    """Return how much the word stands out, in dB; a word cut off at an edge or clipped is last."""
    levels = _frame_levels(clip)
    loud = np.flatnonzero(levels > 0.1 * levels.max())
    cut_off = len(clip) < RATE or loud[0] < 4 or loud[-1] > len(levels) - 4
    clipped = np.mean(np.abs(clip) > 0.98) > 0.001
    floor = max(np.percentile(levels, 10), 10 ** (-65 / 20))
    return 20 * np.log10(_speech_level(clip) / floor) - (100 if cut_off or clipped else 0)


# Movement


@dataclass(frozen=True)
class Movement:
    """
    A gesture recording, placed in time.

    stamps: int64 (n,) ns from the start of the bag. values: float64 (n, 6), m/s^2 and rad/s.
    rest: float64 (m, 6), the rows before the arm moves.
    """

    stamps: np.ndarray
    values: np.ndarray
    rest: np.ndarray


def _imu_track(scenario: dict, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return stamps int64 (n,) in ns from the start and values float64 (n, 6) in SI units."""
    end_ns = int(scenario['duration_s'] * 1e9)
    shows = [event['show'] for event in scenario['events'] if 'show' in event]
    if not shows:  # Nobody wears the sensor.
        return np.zeros(0, np.int64), np.zeros((0, 6))
    shows.sort(key=lambda show: show['at_s'])
    movements = [_read_movement(folder, show['recording'], show['at_s']) for show in shows]
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    now = 0
    posture = movements[0].rest.mean(axis=0)
    for movement in movements:
        if movement.stamps[0] <= now:
            raise KwsImuError(f'Two gestures overlap at {now / 1e9:.1f} s; move one of them.')
        parts.append(_arm_at_rest(now, int(movement.stamps[0]), posture, movement.rest))
        parts.append((movement.stamps, movement.values))
        now = int(movement.stamps[-1]) + IMU_STEP_NS
        # Where the arm came to lie, turning no more.
        posture = movement.rest.mean(axis=0)
        posture[:3] = movement.values[-10:, :3].mean(axis=0)
    noise = movements[-1].rest - movements[-1].rest.mean(axis=0)
    parts.append(_arm_at_rest(now, end_ns, posture, posture + noise))
    stamps = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    inside = (stamps >= 0) & (stamps < end_ns)
    return stamps[inside], values[inside]


def _arm_at_rest(
    start_ns: int, end_ns: int, posture: np.ndarray, rest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return stamps and values of an arm that passes from a posture to that of `rest`."""
    stamps = np.arange(start_ns, end_ns, IMU_STEP_NS)
    change_ns = min(POSTURE_CHANGE_NS, end_ns - start_ns)
    # In the middle of the pause, so that it is part of neither gesture.
    begin_ns = start_ns + (end_ns - start_ns - change_ns) / 2
    phase = np.clip((stamps - begin_ns) / max(change_ns, 1), 0.0, 1.0)
    weight = (0.5 - 0.5 * np.cos(np.pi * phase))[:, None]
    center = rest.mean(axis=0)
    noise = rest - center
    # Forth and back, so that there is no seam.
    noise = np.resize(np.concatenate([noise, noise[::-1]]), (len(stamps), 6))
    return stamps, posture * (1 - weight) + center * weight + noise


def _read_movement(folder: Path, name: str, at_s: float) -> Movement:
    """Return a recording with the middle of its movement at `at_s` seconds."""
    if gesture_split(int(Path(name).parent.name.removeprefix('subject_'))) != 'validation':
        raise KwsImuError(f'{name} is not of a validation subject; choose another recording.')
    time, motion, _ = read_gesture(folder / name)
    onset, offset = motion_span(time, motion)
    stamps = np.round((time - (onset + offset) / 2 + at_s) * 1e9).astype(np.int64)
    before = int(np.searchsorted(time, onset - 0.1))
    rest = motion[: min(max(before, 10), 100)].astype(np.float64)
    return Movement(stamps, motion.astype(np.float64), rest)


# Choice


def _ranking(args: argparse.Namespace, kind: str) -> list[str]:
    """Return the validation recordings of a word (one a speaker) or a gesture, cleanest first."""
    best: dict[str, tuple[float, str]] = {}
    if (args.speech / kind).is_dir():
        for path in sorted((args.speech / kind).iterdir()):
            if speech_split(path.name) != 'validation':
                continue
            entry = (-_cleanliness(_read_sound(path)), f'{kind}/{path.name}')
            person = path.name.split('_nohash_')[0]
            best[person] = min(best.get(person, entry), entry)
    else:
        for path in sorted((args.gestures / kind).glob('subject_*/*.csv*')):
            if gesture_split(int(path.parent.name.removeprefix('subject_'))) != 'validation':
                continue
            time, motion, dropped = read_gesture(path)
            onset, _ = motion_span(time, motion)
            saturated = int(np.sum(np.abs(motion[:, 3:]) > 32700 * ANGULAR_VELOCITY_LSB))
            # Clean: no lost or saturated rows, and half a second of rest before the movement.
            name = str(path.relative_to(args.gestures))
            best[name] = (dropped + saturated + (100.0 if onset < 0.5 else 0.0), name)
    return [name for _, name in sorted(best.values())]


def _choose(args: argparse.Namespace) -> None:
    """Write the bag, play it offline, and change what does not play, until all of it does."""
    rankings: dict[str, list[str]] = {}
    for attempt in range(80):
        _write_bag(args)
        failed: dict[str, tuple[str, ...]] = {}
        for name, judgement in _judgements(args):
            for verdict in judgement.verdicts:
                if not verdict.passed and verdict.event.name not in failed:
                    failed[verdict.event.name] = tuple(item.rule for item in verdict.commands)
                    print(f'  {name}: {verdict.event.name}: {verdict.why}')
            for command in judgement.stray:
                print(f'  {name}: stray {command.intent} at {command.time_s:.2f} s')
            if not judgement.passed:
                break
        else:
            print('all events as expected')
            return
        text = args.scenario.read_text(encoding='utf-8')
        events = {event['name']: event for event in yaml.safe_load(text)['events']}
        for name, rules in failed.items():
            text = _change(args, text, events[name], rules, attempt, rankings)
        args.scenario.write_text(text, encoding='utf-8')
    raise KwsImuError('No choice of clips plays as expected; look at the model or the scenario.')


def _judgements(args: argparse.Namespace) -> Iterator[tuple[str, Judgement]]:
    """Yield the verdict on the bag as it is and under each disturbance."""
    # Here, because only --choose needs the run-time rooms and a model.
    from kws_imu_ros.replay.offline import load_controller, load_pipeline, replay_messages

    scenario = load_scenario(args.scenario)
    messages = list(read_sensors(args.bag))
    for name, gain_db, imu_delay_ns, first in (
        ('as it is', 0.0, 0, 0),
        ('fainter', -1.5, 20_000_000, 1),
        ('louder', 1.5, 0, 1),
        ('IMU late', 0.0, 40_000_000, 0),
    ):
        log = RunLog(scenario)
        disturbed = _disturbed(messages, gain_db, imu_delay_ns, first)
        for _ in replay_messages(disturbed, load_pipeline(args.model), load_controller(), log):
            pass
        # The block that was left out is the start of the bag all the same.
        yield name, judge(scenario, log.judged_commands(), log.motions)


def _disturbed(
    messages: Sequence[SensorMessage], gain_db: float, imu_delay_ns: int, first: int
) -> list[SensorMessage]:
    """Return messages with another loudness, the IMU arriving late, without the first blocks."""
    gain = 10 ** (gain_db / 20)
    result = []
    for message in messages:
        content = message.content
        if isinstance(content, ImuSample):
            result.append(replace(message, stamp_ns=message.stamp_ns + imu_delay_ns))
        elif content.sequence >= first:
            samples = np.clip(np.round(content.samples * gain), -32768, 32767).astype(np.int16)
            result.append(replace(message, content=replace(content, samples=samples)))
    return sorted(result, key=lambda message: message.stamp_ns)


def _change(
    args: argparse.Namespace,
    text: str,
    event: dict,
    rules: tuple[str, ...],
    attempt: int,
    rankings: dict[str, list[str]],
) -> str:
    """Return the text of the scenario with something else in an event that did not play."""
    if event.get('by') == ['agreement'] and 'agreement' not in rules and attempt % 2 == 0:
        return _weaken(args, text, event, rankings)
    present = [
        event[key][field] for key, field in (('say', 'clip'), ('show', 'recording')) if key in event
    ]
    if not present:
        return text
    # Word and gesture in turn, so that a good one is not thrown away with a bad one.
    old = present[attempt % len(present)]
    kind = old.split('/')[0]
    ranking = rankings.setdefault(kind, _ranking(args, kind))
    unused = [name for name in ranking if name not in text]
    later = [name for name in unused if old in ranking and ranking.index(name) > ranking.index(old)]
    choice = (later or unused)[0]
    print(f'  {old} -> {choice}')
    return text.replace(old, choice, 1)


def _weaken(
    args: argparse.Namespace, text: str, event: dict, rankings: dict[str, list[str]]
) -> str:
    """Return the text with a clip and a level at which the word of an event is heard weakly."""
    say = event['say']
    word = say['clip'].split('/')[0]
    ranking = rankings.setdefault(word, _ranking(args, word))
    _movement_of.cache_clear()
    for clip in ranking[:20]:
        if clip in text and clip != say['clip']:
            continue
        for level in range(-40, -62, -1):
            if (clip, level) == (say['clip'], say['level_dbfs']):
                continue
            if all(_is_weak(args, text, event, clip, level + step) for step in (0.0, -1.5, 1.5)):
                print(f'  {event["name"]}: {clip} at {level} dBFS')
                at_s = say['at_s']
                old = f'{say["clip"]}, at_s: {at_s}, level_dbfs: {say["level_dbfs"]}'
                return text.replace(old, f'{clip}, at_s: {at_s}, level_dbfs: {level}')
    print(f'  no clear recording of "{word}" is heard weakly with this gesture')
    return text


def _is_weak(
    args: argparse.Namespace, text: str, event: dict, clip: str, level_dbfs: float
) -> bool:
    """Return whether a clip, with the event's gesture, is heard weakly and helped by it."""
    from kws_imu_ros.replay.offline import load_pipeline

    start_s, end_s = event['window_s'][0] - 2.5, event['window_s'][1]
    say = {'clip': clip, 'at_s': event['say']['at_s'] - start_s, 'level_dbfs': level_dbfs}
    background = yaml.safe_load(text)['background']
    background = {**background, 'from_s': background['from_s'] + start_s}
    scene = {'duration_s': end_s - start_s, 'background': background, 'events': [{'say': say}]}
    sound = _audio_track(scene, args.speech)
    pipeline = load_pipeline(args.model)
    rules = []
    first_ns = START_NS + round(start_s * 1e9)
    moved = [item for item in _movement_of(args.bag) if item.stamp_ns >= first_ns]
    for number in range(len(sound) // BLOCK):
        stamp_ns = first_ns + number * BLOCK * 1_000_000_000 // RATE
        samples = sound[number * BLOCK : (number + 1) * BLOCK]
        block = AudioBlock(stamp_ns, number, RATE, samples)
        while moved and moved[0].stamp_ns <= block.end_ns:
            pipeline.push_imu(moved.pop(0))
        decisions = [step.decision for step in pipeline.push_audio(block)]
        rules += [item.rule for item in decisions if item and item.outcome == 'accept']
    return rules == ['agreement']


@functools.cache
def _movement_of(bag: Path) -> tuple[ImuSample, ...]:
    contents = [message.content for message in read_sensors(bag)]
    return tuple(item for item in contents if isinstance(item, ImuSample))


if __name__ == '__main__':
    sys.exit(main())
