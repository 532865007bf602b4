"""The fusion pipeline on the real network: whole streams, broken, late, and of two clocks."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.decision.table import load_table
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.fusion.pipeline import FusionPipeline, PipelineConfig, PipelineHealth, Step
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.model.bundle import load_bundle
from kws_imu_ros.model.interpreter import Interpreter

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'policy.yaml'
RATE = 16000
BLOCK = 320
BLOCK_NS = 20_000_000
HOP_NS = 40_000_000
SECOND_NS = 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS
HOUR_NS = 3600 * SECOND_NS


@pytest.fixture(scope='module')
def interpreter(bundle_directory: Path) -> Interpreter:
    return Interpreter(load_bundle(bundle_directory))


@pytest.fixture
def pipeline(interpreter: Interpreter) -> FusionPipeline:
    return make_pipeline(interpreter)


def make_pipeline(interpreter: Interpreter, **config: int) -> FusionPipeline:
    manifest = interpreter.manifest
    policy = Policy(load_table(POLICY), manifest.labels, manifest.thresholds)
    return FusionPipeline(interpreter, policy, PipelineConfig(**config))


def make_audio(seconds: float, seed: int = 1) -> np.ndarray:
    """Return noise whose loudness changes, so that no two windows are alike."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    envelope = 1000.0 * (1.0 + np.sin(np.arange(count) / 3000.0))
    return (rng.standard_normal(count) * envelope).astype(np.int16)


def make_blocks(
    audio: np.ndarray, size: int = BLOCK, start_ns: int = START_NS, sequence: int = 0
) -> list[AudioBlock]:
    return [
        AudioBlock(
            start_ns + i * SECOND_NS // RATE, sequence + i // size, RATE, audio[i : i + size]
        )
        for i in range(0, len(audio), size)
    ]


def make_imu(
    seconds: float, start_ns: int = START_NS, rate: int = 100, scale: float = 1.0
) -> list[ImuSample]:
    """Return a wrist that swings."""
    return [
        ImuSample(
            start_ns + k * SECOND_NS // rate,
            (scale * np.sin(k / 9.0), 0.0, scale * 9.81),
            (0.0, np.cos(k / 9.0), 0.1),
        )
        for k in range(int(seconds * rate))
    ]


def play(pipeline: FusionPipeline, *streams: list) -> list[Step]:
    """Push streams merged by the time at which each item is complete."""
    items = [item for stream in streams for item in stream]
    items.sort(key=lambda item: getattr(item, 'end_ns', item.stamp_ns))
    steps = []
    for item in items:
        steps += (
            pipeline.push_audio(item) if isinstance(item, AudioBlock) else pipeline.push_imu(item)
        )
    return steps


def content(steps: list[Step]) -> list[tuple]:
    """Return steps as values that compare to the byte."""
    return [
        (
            step.stamp_ns,
            step.voice.tobytes(),
            step.gesture.tobytes(),
            step.intent.tobytes(),
            step.level_dbfs,
            step.decision,
            step.audio_present,
            step.imu_present,
        )
        for step in steps
    ]


def posteriors(steps: list[Step]) -> list[tuple]:
    return [(step.voice.tobytes(), step.gesture.tobytes()) for step in steps]


# Streams that are whole


def test_a_hop_falls_every_40_ms_at_the_end_of_its_audio(pipeline: FusionPipeline):
    steps = play(pipeline, make_blocks(make_audio(1.0)))
    assert [step.stamp_ns for step in steps] == [START_NS + k * HOP_NS for k in range(1, 26)]
    assert all(step.audio_present and not step.imu_present for step in steps)
    assert pipeline.health.hops == 25


def test_the_same_input_gives_the_same_bytes(interpreter: Interpreter):
    streams = make_blocks(make_audio(4.0)), make_imu(4.0)
    first = play(make_pipeline(interpreter), *streams)
    assert content(play(make_pipeline(interpreter), *streams)) == content(first)
    used = make_pipeline(interpreter)
    play(used, make_blocks(make_audio(2.0, seed=2)), make_imu(2.0, rate=50))
    used.reset()
    assert used.health == PipelineHealth()
    assert content(play(used, *streams)) == content(first)


@settings(max_examples=15)
@given(sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=20))
def test_the_size_of_the_blocks_changes_nothing(interpreter: Interpreter, sizes: list[int]):
    audio = make_audio(1.2)
    expected = play(make_pipeline(interpreter), make_blocks(audio))
    blocks, at = [], 0
    while at < len(audio):
        part = audio[at : at + sizes[len(blocks) % len(sizes)]]
        blocks.append(AudioBlock(START_NS + at * SECOND_NS // RATE, len(blocks), RATE, part))
        at += len(part)
    assert content(play(make_pipeline(interpreter), blocks)) == content(expected)


def test_the_network_gets_what_the_batch_front_end_computes(interpreter: Interpreter):
    from kws_imu_ros.audio.frontend import log_mel

    audio = make_audio(2.0)
    seen = []
    pipeline = make_pipeline(interpreter)
    infer = interpreter.infer
    pipeline._decider._interpreter = type(
        'Recording',
        (),
        {'infer': staticmethod(lambda x, y: (seen.append(x), infer(x, y))[1])},
    )
    play(pipeline, make_blocks(audio))
    front_end = interpreter.manifest.front_end
    np.testing.assert_array_equal(seen[-1], log_mel(audio, front_end)[-front_end.frames :])


def test_the_level_is_that_of_the_hop(pipeline: FusionPipeline):
    silence = np.zeros(RATE, np.int16)
    full = np.where(np.arange(RATE) % 2, 32767, -32768).astype(np.int16)
    levels = [s.level_dbfs for s in play(pipeline, make_blocks(np.concatenate([silence, full])))]
    assert levels[:25] == [-96.0] * 25
    assert levels[25:] == pytest.approx([0.0] * 25, abs=0.01)


# One sense alone, late, or lost


def test_voice_works_without_an_imu(pipeline: FusionPipeline):
    steps = play(pipeline, make_blocks(make_audio(2.0)))
    none = pipeline.labels['gesture'].index('none')
    assert all(step.gesture[none] == pytest.approx(1.0) for step in steps)
    assert pipeline.health.sentences() == ()


def test_gestures_work_without_audio(pipeline: FusionPipeline):
    steps = play(pipeline, make_imu(3.0))
    # The first hop comes when it is clear that there is no audio.
    assert steps[0].stamp_ns == START_NS + 310_000_000
    assert {b.stamp_ns - a.stamp_ns for a, b in itertools.pairwise(steps)} == {HOP_NS}
    assert all(step.imu_present and not step.audio_present for step in steps)
    assert all(step.voice.max() == pytest.approx(1.0) for step in steps)
    assert any('No audio has arrived' in entry for entry in pipeline.health.sentences())


def test_an_imu_that_starts_late_joins(pipeline: FusionPipeline):
    steps = play(pipeline, make_blocks(make_audio(3.0)), make_imu(2.0, START_NS + SECOND_NS))
    present = [step.imu_present for step in steps]
    assert present.index(True) == 25
    assert all(present[25:])


def test_audio_that_starts_late_takes_over(pipeline: FusionPipeline):
    steps = play(
        pipeline, make_blocks(make_audio(2.0), start_ns=START_NS + SECOND_NS), make_imu(3.0)
    )
    present = [step.audio_present for step in steps]
    first = present.index(True)
    assert not any(present[:first]) and all(present[first:])
    assert steps[first].stamp_ns == START_NS + SECOND_NS + HOP_NS
    stamps = [step.stamp_ns for step in steps]
    assert stamps == sorted(stamps)


def test_an_imu_that_stops_is_noticed_and_voice_goes_on(pipeline: FusionPipeline):
    steps = play(pipeline, make_blocks(make_audio(3.0)), make_imu(1.5))
    last = max(step.stamp_ns for step in steps if step.imu_present)
    assert 0 <= last - (START_NS + 1_490_000_000) <= 300_000_000
    assert len(steps) == 75
    assert 'The IMU has stopped' in ' '.join(pipeline.health.sentences())
    assert pipeline.health.imu_skew_ns == 0


def test_audio_that_stops_is_noticed_and_gestures_go_on(pipeline: FusionPipeline):
    steps = play(pipeline, make_blocks(make_audio(1.0)), make_imu(3.0))
    after = [step for step in steps if not step.audio_present]
    assert 0 < after[0].stamp_ns - (START_NS + SECOND_NS) <= 350_000_000
    assert after[-1].stamp_ns > START_NS + 2_900_000_000
    assert 'The audio has stopped' in ' '.join(pipeline.health.sentences())


def test_audio_that_comes_back_starts_with_an_empty_window(interpreter: Interpreter):
    back_ns = START_NS + 3 * SECOND_NS
    tail = make_blocks(make_audio(1.0, seed=3), start_ns=back_ns, sequence=50)
    imu = make_imu(4.0)
    steps = play(make_pipeline(interpreter), make_blocks(make_audio(1.0)), tail, imu)
    fresh = play(make_pipeline(interpreter), tail, imu)
    compare = [[s for s in run if s.stamp_ns > back_ns] for run in (steps, fresh)]
    assert len(compare[0]) == 25
    # Of the sound alone: the hand was seen all the time in one run, and not in the other.
    assert [s.voice.tobytes() for s in compare[0]] == [s.voice.tobytes() for s in compare[1]]


def test_when_both_senses_stop_the_clock_tells(pipeline: FusionPipeline):
    play(pipeline, make_blocks(make_audio(1.0)), make_imu(1.0))
    now_ns = START_NS + SECOND_NS
    assert pipeline.tick(now_ns) == []
    assert pipeline.health.audio_present and pipeline.health.imu_present
    for k in range(1, 6):
        pipeline.tick(now_ns + k * 100_000_000)
    assert not pipeline.health.audio_present and not pipeline.health.imu_present
    assert len(pipeline.health.sentences()) == 2


# Gaps, duplicates, restarts


def test_a_short_gap_is_filled_with_silence(interpreter: Interpreter):
    audio = make_audio(2.0)
    blocks = make_blocks(audio)
    broken = play(make_pipeline(interpreter), blocks[:40], blocks[43:])
    with_silence = audio.copy()
    with_silence[40 * BLOCK : 43 * BLOCK] = 0
    expected = play(make_pipeline(interpreter), make_blocks(with_silence))
    assert content(broken) == content(expected)


def test_a_gap_is_counted_and_told(pipeline: FusionPipeline):
    blocks = make_blocks(make_audio(2.0))
    play(pipeline, blocks[:40], blocks[43:])
    health = pipeline.health
    assert (health.audio_gaps, health.audio_filled_samples) == (1, 960)
    assert 'The audio had 1 gap:' in ' '.join(health.sentences())
    assert pipeline.health.since(health).sentences() != health.sentences()


def test_a_gap_that_messages_left_is_not_blamed_on_the_machine(pipeline: FusionPipeline):
    blocks = make_blocks(make_audio(2.0))
    play(pipeline, blocks[:40], blocks[41:60], blocks[63:])
    health = pipeline.health
    assert 'The audio had 2 gaps: the machine' in ' '.join(health.sentences())
    assert 'The audio had 1 gap: the machine' in ' '.join(health.sentences(audio_left_out=1))
    assert health.sentences(audio_left_out=2) == ()


def test_after_a_long_gap_the_window_is_empty(interpreter: Interpreter):
    blocks = make_blocks(make_audio(3.0))
    pipeline = make_pipeline(interpreter)
    steps = play(pipeline, blocks[:50], blocks[75:])
    fresh = play(make_pipeline(interpreter), blocks[75:])
    assert posteriors(steps[25:]) == posteriors(fresh)
    assert (pipeline.health.audio_gaps, pipeline.health.audio_filled_samples) == (1, 0)


def test_blocks_that_come_twice_or_late_are_dropped(interpreter: Interpreter):
    blocks = make_blocks(make_audio(2.0))
    pipeline = make_pipeline(interpreter)
    steps = []
    for k, block in enumerate(blocks):
        steps += pipeline.push_audio(block)
        assert pipeline.push_audio(block) == []
        if k > 5:
            assert pipeline.push_audio(blocks[k - 5]) == []
    assert content(steps) == content(play(make_pipeline(interpreter), blocks))
    assert pipeline.health.audio_duplicates == 100 + 94


def test_a_microphone_that_starts_anew_is_heard_at_once(pipeline: FusionPipeline):
    audio = make_audio(1.0)
    again = make_blocks(audio, start_ns=START_NS + 2 * SECOND_NS)
    steps = play(pipeline, make_blocks(audio), again)
    assert len(steps) == 50
    assert pipeline.health.audio_restarts == 1


def test_a_microphone_that_starts_anew_on_an_older_clock_is_heard_soon(
    pipeline: FusionPipeline,
):
    audio = make_audio(1.0)
    steps = []
    for block in make_blocks(audio) + make_blocks(audio, start_ns=START_NS - HOUR_NS):
        steps += pipeline.push_audio(block)
    assert pipeline.health.audio_restarts == 1
    assert 40 <= len(steps) <= 42


@pytest.mark.parametrize('jump_ns', [HOUR_NS, -HOUR_NS, 700_000_000, -700_000_000])
def test_a_jump_of_the_audio_clock_is_survived(pipeline: FusionPipeline, jump_ns: int):
    audio = make_audio(2.0)
    before = make_blocks(audio)
    after = make_blocks(audio, start_ns=START_NS + 2 * SECOND_NS + jump_ns, sequence=len(before))
    steps = []
    for block in before + after:
        steps += pipeline.push_audio(block)
    assert len(steps) == 100
    assert pipeline.health.audio_clock_jumps == 1
    assert 'The audio clock jumped' in ' '.join(pipeline.health.sentences())


@settings(max_examples=20)
# Two strays of different clocks, one after the other.
@example(strays={1: 700_000_000, 2: HOUR_NS})
@given(
    strays=st.dictionaries(
        st.integers(1, 97), st.sampled_from([HOUR_NS, -HOUR_NS, 700_000_000, -700_000_000])
    )
)
def test_stray_stamps_change_nothing_but_are_told(interpreter: Interpreter, strays: dict):
    blocks = make_blocks(make_audio(2.0))
    # Two of one clock in a row are a clock that was set.
    strays = {k: by for k, by in strays.items() if strays.get(k - 1) != by != strays.get(k + 1)}
    pipeline = make_pipeline(interpreter)
    steps = []
    for k, block in enumerate(blocks):
        steps += pipeline.push_audio(replace(block, stamp_ns=block.stamp_ns + strays.get(k, 0)))
    assert content(steps) == content(play(make_pipeline(interpreter), blocks))
    assert pipeline.health.audio_clock_jumps == len(strays)
    assert pipeline.health.audio_blocks == len(blocks)


@pytest.mark.parametrize('jump_ns', [HOUR_NS, -HOUR_NS])
def test_a_jump_of_both_clocks_is_survived(pipeline: FusionPipeline, jump_ns: int):
    later_ns = START_NS + 2 * SECOND_NS + jump_ns
    play(pipeline, make_blocks(make_audio(2.0)), make_imu(2.0))
    steps = play(
        pipeline,
        make_blocks(make_audio(3.0), start_ns=later_ns, sequence=100),
        make_imu(3.0, later_ns),
    )
    assert all(step.imu_present for step in steps[10:])
    assert pipeline.health.imu_skew_ns == 0
    assert pipeline.health.imu.clock_jumps == 1


def test_jitter_of_the_stamps_is_no_gap(interpreter: Interpreter):
    rng = np.random.default_rng(1)
    audio = make_audio(2.0)
    blocks = [
        AudioBlock(b.stamp_ns + int(rng.integers(-15_000_000, 15_000_000)), *list_of(b)[1:])
        for b in make_blocks(audio)
    ]
    pipeline = make_pipeline(interpreter)
    steps = []
    for block in blocks:
        steps += pipeline.push_audio(block)
    assert posteriors(steps) == posteriors(play(make_pipeline(interpreter), make_blocks(audio)))
    assert pipeline.health.sentences() == ()


def list_of(block: AudioBlock) -> list:
    return [block.stamp_ns, block.sequence, block.sample_rate, block.samples]


# Two clocks, and IMUs that lie


@pytest.mark.parametrize('skew_ns', [HOUR_NS, -HOUR_NS, 2 * SECOND_NS, -2 * SECOND_NS])
def test_an_imu_of_another_clock_is_used_and_told(interpreter: Interpreter, skew_ns: int):
    pipeline = make_pipeline(interpreter)
    blocks, samples = make_blocks(make_audio(4.0)), make_imu(4.0, START_NS + skew_ns)
    steps = []
    for k, block in enumerate(blocks):
        for sample in samples[2 * k : 2 * k + 2]:
            steps += pipeline.push_imu(sample)
        steps += pipeline.push_audio(block)
    assert all(step.audio_present for step in steps)
    assert all(step.imu_present for step in steps[30:])
    assert pipeline.health.imu_skew_ns == pytest.approx(skew_ns, abs=50_000_000)
    assert 'clock differs' in ' '.join(pipeline.health.sentences())


def test_a_burst_of_late_audio_is_not_another_clock(pipeline: FusionPipeline):
    blocks, samples = make_blocks(make_audio(4.0)), make_imu(4.0)
    play(pipeline, blocks[:100], samples[:200])
    for sample in samples[200:280]:
        pipeline.push_imu(sample)
    for block in blocks[100:140]:
        pipeline.push_audio(block)
    assert pipeline.health.imu_skew_ns == 0
    play(pipeline, blocks[140:], samples[280:])
    assert pipeline.health.imu_skew_ns == 0
    assert pipeline.health.imu_present


def test_an_imu_in_g_is_told_and_voice_goes_on(pipeline: FusionPipeline):
    steps = play(pipeline, make_blocks(make_audio(3.0)), make_imu(3.0, scale=1.0 / 9.81))
    assert not steps[-1].imu_present
    assert 'looks like g' in ' '.join(pipeline.health.sentences())
    assert len(steps) == 75


def test_an_imu_of_nan_is_told_and_voice_goes_on(pipeline: FusionPipeline):
    nan = float('nan')
    samples = [ImuSample(s.stamp_ns, (nan,) * 3, (nan,) * 3) for s in make_imu(3.0)]
    steps = play(pipeline, make_blocks(make_audio(3.0)), samples)
    assert not steps[-1].imu_present
    assert 'NaN' in ' '.join(pipeline.health.sentences())
    assert len(steps) == 75


# Senses that are dead but talk, and two that talk at once


def test_an_imu_that_does_not_stamp_is_seen_by_its_arrival(interpreter: Interpreter):
    pipeline = make_pipeline(interpreter)
    steps = []
    for k, block in enumerate(make_blocks(make_audio(3.0))):
        for sample in make_imu(3.0)[2 * k : 2 * k + 2]:
            unstamped = ImuSample(0, sample.linear_acceleration, sample.angular_velocity)
            steps += pipeline.push_imu(unstamped, sample.stamp_ns)
        steps += pipeline.push_audio(block)
    assert all(step.imu_present for step in steps[30:])
    (sentence,) = [s for s in pipeline.health.sentences() if 'stamp' in s]
    assert 'time of arrival' in sentence
    assert not any('clock' in s or 'one driver' in s for s in pipeline.health.sentences())


def test_a_frozen_imu_is_no_imu_and_no_sign_of_life(pipeline: FusionPipeline):
    samples = make_imu(3.0)
    frozen = [
        ImuSample(s.stamp_ns, samples[99].linear_acceleration, samples[99].angular_velocity)
        for s in samples[100:]
    ]
    steps = play(pipeline, make_blocks(make_audio(3.0)), samples[:100] + frozen)
    assert steps[20].imu_present and not steps[-1].imu_present
    assert pipeline.signs_of_life.imu < 110
    assert pipeline.signs_of_life.audio == 150
    assert 'IMU is frozen' in ' '.join(pipeline.health.sentences())


@pytest.mark.parametrize('buffer', [320, 1024])
def test_a_microphone_that_repeats_its_buffer_is_deaf(pipeline: FusionPipeline, buffer: int):
    audio = make_audio(3.0)
    stuck = np.resize(audio[RATE - buffer : RATE], 2 * RATE)
    steps = play(pipeline, make_blocks(np.concatenate((audio[:RATE], stuck))))
    assert steps[20].audio_present and not steps[-1].audio_present
    assert pipeline.signs_of_life.audio <= 50 + buffer // BLOCK + 1
    assert 'The audio is stuck' in pipeline.health.sentences()[0]
    play(pipeline, make_blocks(make_audio(1.0, 7), start_ns=START_NS + 3 * SECOND_NS, sequence=150))
    assert pipeline.health.audio_present and not pipeline.health.sentences()


def test_digital_silence_is_told_as_muted_and_is_death_after_a_while(pipeline: FusionPipeline):
    audio = np.concatenate((make_audio(1.0), np.zeros(9 * RATE, np.int16)))
    blocks = make_blocks(audio)
    play(pipeline, blocks[:149])
    # A noise gate is silent between words.
    assert not pipeline.health.audio_muted
    play(pipeline, blocks[149:299])
    assert 'muted' in ' '.join(pipeline.health.sentences())
    assert pipeline.signs_of_life.audio == 299
    play(pipeline, blocks[299:])
    assert pipeline.signs_of_life.audio == 299
    assert pipeline.health.audio_present


def test_two_microphones_are_told_and_neither_is_understood(pipeline: FusionPipeline):
    one = make_blocks(make_audio(4.0))
    other = make_blocks(make_audio(4.0, 2), start_ns=START_NS + 7_000_000, sequence=900)
    steps = play(pipeline, one, other)
    assert steps[-1].stamp_ns < START_NS + SECOND_NS
    (sentence, *others) = pipeline.health.sentences()
    assert 'More than one microphone' in sentence
    assert not [s for s in others if 'gap' in s or 'clock' in s or 'twice' in s]
    signs = pipeline.signs_of_life
    # One of them was switched off: after a while it is heard again.
    later = make_blocks(make_audio(4.0, 3), start_ns=START_NS + 4 * SECOND_NS, sequence=200)
    assert play(pipeline, later)
    assert pipeline.signs_of_life.audio > signs.audio


def test_two_imus_are_told_and_neither_is_believed(pipeline: FusionPipeline):
    other = [
        ImuSample(s.stamp_ns + 3_000_000, (0.0, 9.81, s.angular_velocity[1]), (0.0, 0.1, 0.0))
        for s in make_imu(4.0)
    ]
    steps = play(pipeline, make_blocks(make_audio(4.0)), make_imu(4.0), other)
    assert not steps[-1].imu_present and steps[-1].audio_present
    assert 'More than one sensor' in ' '.join(pipeline.health.sentences())


@pytest.mark.parametrize('offset', [0.4, -0.4, 0.15])
def test_sound_beside_zero_ends_without_a_word(interpreter: Interpreter, offset: float):
    rng = np.random.default_rng(5)
    quiet = rng.normal(0.0, 60.0, RATE // 2) + offset * 32768.0
    sound = np.concatenate((quiet.astype(np.int16), np.zeros(RATE, np.int16)))
    steps = play(make_pipeline(interpreter), make_blocks(sound))
    assert [step.decision for step in steps if step.decision] == []


# Bad input and settings


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'sample_rate': 44100}, '44100 Hz but the model needs 16000 Hz'),
        ({'samples': np.zeros(320, np.float32)}, 'float32'),
        ({'samples': np.zeros((160, 2), np.int16)}, r'shape \(160, 2\)'),
    ],
)
def test_a_block_that_does_not_fit_is_refused_and_changes_nothing(
    interpreter: Interpreter, changes: dict, sentence: str
):
    blocks = make_blocks(make_audio(1.0))
    values = dict(zip(('stamp_ns', 'sequence', 'sample_rate', 'samples'), list_of(blocks[10])))
    pipeline = make_pipeline(interpreter)
    steps = play(pipeline, blocks[:10])
    with pytest.raises(KwsImuError, match=sentence):
        pipeline.push_audio(AudioBlock(**(values | changes)))
    steps += play(pipeline, blocks[10:])
    assert content(steps) == content(play(make_pipeline(interpreter), blocks))


@pytest.mark.parametrize('config', [{'hop_ns': 0}, {'hop_ns': 33_333}, {'imu_timeout_ns': -1}])
def test_settings_that_make_no_sense_are_refused(interpreter: Interpreter, config: dict):
    with pytest.raises(KwsImuError):
        make_pipeline(interpreter, **config)


def test_another_hop_gives_other_times(interpreter: Interpreter):
    steps = play(make_pipeline(interpreter, hop_ns=20_000_000), make_blocks(make_audio(1.0)))
    assert len(steps) == 50


def test_another_policy_keeps_what_was_heard(interpreter: Interpreter):
    blocks = make_blocks(make_audio(3.0))
    pipeline = make_pipeline(interpreter)
    play(pipeline, blocks[:75])
    pipeline.set_policy(make_pipeline(interpreter).policy)
    steps = play(pipeline, blocks[75:])
    expected = play(make_pipeline(interpreter), blocks)
    # After as many hops as are smoothed over, all is as if nothing had been changed.
    hops = pipeline.policy.table.voice_hops
    assert posteriors(steps[hops:]) == posteriors(expected[-len(steps) + hops :])


events = st.lists(
    st.one_of(
        st.tuples(
            st.just('audio'),
            st.integers(-3, 40),  # blocks ahead of the last stamp
            st.integers(-3, 40),  # steps of the sequence number
            st.integers(1, 1000),  # samples
        ),
        st.tuples(
            st.just('imu'),
            st.integers(-50_000_000, 400_000_000),
            st.sampled_from([0.0, 9.81, 1.0, 1e9, float('nan')]),
        ),
        st.tuples(st.just('jump'), st.sampled_from([HOUR_NS, -HOUR_NS, -1])),
        st.tuples(st.just('tick'), st.integers(0, SECOND_NS)),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(events=events)
def test_nothing_that_arrives_breaks_it(interpreter: Interpreter, events: list):
    pipeline = make_pipeline(interpreter)
    now_ns, imu_ns, sequence = START_NS, START_NS, 0
    noise = make_audio(0.1)
    for kind, *values in events:
        if kind == 'audio':
            now_ns = max(0, now_ns + values[0] * BLOCK_NS)
            sequence = max(0, sequence + values[1])
            steps = pipeline.push_audio(AudioBlock(now_ns, sequence, RATE, noise[: values[2]]))
        elif kind == 'imu':
            imu_ns = max(0, imu_ns + values[0])
            steps = pipeline.push_imu(ImuSample(imu_ns, (0.0, 0.0, values[1]), (0.0, 0.0, 0.0)))
        elif kind == 'jump':
            now_ns, imu_ns, steps = max(0, now_ns + values[0]), max(0, imu_ns + values[0]), []
        else:
            steps = pipeline.tick(now_ns + values[0])
        # A hole is filled up to a limit, so one item never brings more hops than that.
        assert len(steps) <= 10
        for step in steps:
            assert np.isfinite(step.intent).all()
            assert -96.0 <= step.level_dbfs <= 0.01
    assert all('\n' not in entry for entry in pipeline.health.sentences())
