"""The policy: each rule by example, and what must hold whatever is heard and seen."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.decision.decision import Decision
from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.decision.smoothing import PosteriorSmoother, make_smoothers, smooth
from kws_imu_ros.decision.table import PolicyTable, load_table, parse_table
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.outputs import Posteriors

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'policy.yaml'
TEXT = POLICY.read_text()
LABELS = {
    'voice': ('left', 'right', 'up', 'down', 'go', 'stop', 'yes', 'no', 'unknown', 'silence'),
    'gesture': ('swipe_left', 'swipe_right', 'swipe_up', 'swipe_down', 'none'),
    'intent': ('left', 'right', 'up', 'down', 'go', 'stop', 'yes', 'no', 'none'),
}
BACKGROUND = {'voice': 'silence', 'gesture': 'none', 'intent': 'none'}
HOP_NS = 40_000_000
SECOND = 25  # hops

# What a network says for a few things that people do.
SURE, UNSURE = 0.95, 0.5


def posterior(head: str, **scores: float) -> np.ndarray:
    """Return a posterior; what the scores leave over goes to the background."""
    labels = LABELS[head]
    result = np.zeros(len(labels), np.float32)
    for label, score in scores.items():
        result[labels.index(label)] = score
    result[labels.index(BACKGROUND[head])] += 1.0 - result.sum()
    return result


class Session:
    """A policy with the smoothing that the pipeline gives it."""

    def __init__(self, table: PolicyTable | None = None) -> None:
        self.table = table or load_table(POLICY)
        self.policy = Policy(self.table, LABELS)
        self.smoothers = make_smoothers(self.table, LABELS)
        self.now_ns = 1_000 * HOP_NS
        self.decisions: list[Decision] = []
        self.wait(5)

    def step(self, voice: np.ndarray, gesture: np.ndarray, intent: np.ndarray) -> Decision | None:
        raw = Posteriors(voice, gesture, intent)
        smoothed = Posteriors(
            *(s.push(p) for s, p in zip(self.smoothers, (voice, gesture, intent)))
        )
        decision = self.policy.step(self.now_ns, raw, smoothed)
        self.now_ns += HOP_NS
        if decision is not None:
            self.decisions.append(decision)
        return decision

    def play(self, hops: int, voice=None, gesture=None, intent=None) -> 'Session':
        """Let the network say the same for some hops."""
        for _ in range(hops):
            self.step(
                posterior('voice', **(voice or {})),
                posterior('gesture', **(gesture or {})),
                posterior('intent', **(intent or {})),
            )
        return self

    def wait(self, hops: int) -> 'Session':
        return self.play(hops)

    @property
    def said(self) -> list[tuple[str, str, str]]:
        return [(d.outcome, d.intent, d.rule) for d in self.decisions]

    @property
    def accepted(self) -> list[str]:
        return [d.intent for d in self.decisions if d.outcome == 'accept']


def table_with(*replacements: tuple[str, str]) -> PolicyTable:
    text = TEXT
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    return parse_table(text)


def without(rule: str) -> PolicyTable:
    return table_with((f'  {rule}:\n    enabled: true', f'  {rule}:\n    enabled: false'))


# A word


@pytest.mark.parametrize('word', ['left', 'right', 'up', 'down', 'go', 'yes', 'no'])
def test_a_clear_word_acts_within_three_hops_and_once_however_long_it_echoes(word: str):
    session = Session().play(3, {word: SURE})
    assert session.said == [('accept', word, 'voice')]
    session.play(3 * SECOND, {word: SURE}).wait(3 * SECOND)
    assert session.said == [('accept', word, 'voice')]


def test_a_word_said_twice_acts_twice():
    session = Session()
    for _ in range(2):
        session.play(15, {'left': SURE}).wait(25)
    assert session.accepted == ['left', 'left']


def test_the_rest_of_a_word_that_leaves_the_window_is_not_another_word():
    # As a real "stop" does it: its "-op" is an "up" while the "st-" has already gone.
    session = Session().play(26, {'stop': SURE})
    session.play(1, {'stop': 0.5, 'up': 0.4}).play(4, {'up': 0.8}).wait(SECOND)
    assert session.accepted == ['stop']


def test_a_word_said_right_after_another_one_acts_when_it_cannot_be_its_rest():
    session = Session().play(26, {'left': SURE}).play(20, {'up': SURE}).wait(SECOND)
    assert session.accepted == ['left', 'up']
    times = [d.stamp_ns for d in session.decisions]
    heard_ns = session.table.refractory_ns + session.table.echo_ns
    assert times[1] - times[0] <= heard_ns + 4 * HOP_NS


def test_the_rest_of_a_word_does_not_keep_a_stop_from_the_robot():
    session = Session().play(26, {'left': SURE}).play(3, {'stop': SURE})
    assert session.accepted == ['left', 'stop']


def test_a_word_that_never_ends_does_not_block_others_for_ever():
    session = Session().play(26, {'left': SURE}).play(4 * SECOND, {'left': 0.3})
    session.play(8, {'left': 0.3, 'up': 0.7})
    assert session.accepted == ['left', 'up']


def test_one_hop_is_not_a_word():
    assert Session().play(1, {'left': 1.0}).wait(10).accepted == []


def test_a_second_word_within_the_refractory_time_acts_after_it():
    session = Session().play(10, {'left': SURE}).play(20, {'go': SURE})
    assert session.accepted == ['left', 'go']
    times = [d.stamp_ns for d in session.decisions]
    assert times[1] - times[0] == session.table.refractory_ns


def test_the_echo_of_a_word_that_sounds_like_another_does_nothing():
    session = Session().play(8, {'no': SURE}).play(12, {'go': 0.9}).wait(50)
    assert session.accepted == ['no']


def test_a_threshold_of_its_own_counts_for_its_word_alone():
    table = table_with(('    default: auto', '    default: auto\n    go: 0.9'))
    assert Session(table).play(10, {'go': 0.8}).wait(5).accepted == []
    assert Session(table).play(10, {'left': 0.8}).wait(5).accepted == ['left']


def test_a_calibrated_threshold_stands_for_auto():
    session = Session()
    session.policy = Policy(session.table, LABELS, {'voice': {'left': 0.9}})
    assert session.play(10, {'left': 0.8}).wait(5).accepted == []


@pytest.mark.parametrize('scores', [{'unknown': 1.0}, {'silence': 1.0}, {'unknown': 0.5}])
def test_other_words_and_noise_do_nothing(scores: dict):
    assert Session().play(30, scores).wait(60).accepted == []


def test_an_unknown_word_is_reported_once_when_it_is_over():
    session = Session().play(12, {'unknown': 0.9})
    assert session.said == []
    assert session.wait(60).said == [('reject', '', 'unknown_word')]


def test_the_tail_of_a_command_is_not_reported_as_unknown():
    session = Session().play(14, {'left': SURE}).play(8, {'unknown': 0.9}).wait(60)
    assert session.said == [('accept', 'left', 'voice')]


def test_a_weak_word_alone_is_given_up_after_the_pairing_window():
    session = Session().play(8, {'left': UNSURE}).wait(60)
    assert session.said == [('reject', '', 'weak_voice')]
    assert session.decisions[0].heard.label == 'left'


# Stop


def test_stop_takes_one_hop():
    session = Session().play(1, {'stop': 0.85})
    assert session.said == [('accept', 'stop', 'stop')]


def test_stop_acts_once():
    assert Session().play(40, {'stop': SURE}).wait(40).accepted == ['stop']


def test_stop_that_never_is_very_sure_still_stops():
    assert Session().play(7, {'stop': 0.7}).wait(40).accepted == ['stop']


def test_stop_wins_over_the_refractory_time_of_another_word():
    session = Session().play(4, {'go': SURE}).play(1, {'stop': 0.9})
    assert session.accepted == ['go', 'stop']


def test_stop_wins_over_a_gesture():
    session = Session().play(2, {'stop': SURE}, {'swipe_left': 1.0})
    session.play(20, {'stop': SURE}, {'swipe_left': 1.0}).wait(50)
    assert session.accepted == ['stop']


def test_a_swipe_in_flight_does_not_move_the_robot_after_stop():
    session = Session().play(2, {}, {'swipe_left': 0.3}).play(5, {'stop': 0.9})
    session.play(50, {}, {'swipe_left': SURE}).wait(50)
    assert session.accepted == ['stop']


def test_stop_again_after_another_command():
    session = Session().play(2, {'stop': SURE}).wait(26).play(4, {'go': SURE})
    session.play(1, {'stop': SURE})
    assert session.accepted == ['stop', 'go', 'stop']


def test_swipe_down_alone_stops_in_one_hop():
    session = Session().play(1, {}, {'swipe_down': 0.95})
    assert session.said == [('accept', 'stop', 'stop_gesture')]
    assert session.play(45, {}, {'swipe_down': SURE}).wait(60).accepted == ['stop']


def test_swipe_down_stops_in_the_refractory_time_of_other_gestures():
    session = Session().play(5, {}, {'swipe_left': SURE}).play(1, {}, {'swipe_down': 0.95})
    assert session.accepted == ['left', 'stop']


def test_swipe_down_with_a_direction_is_down():
    session = Session().play(8, {'left': SURE}).play(20, {}, {'swipe_down': SURE}).wait(60)
    assert session.said == [
        ('accept', 'left', 'voice'),
        ('accept', 'down', 'gesture_corrects_voice'),
    ]


def test_swipe_down_before_a_direction_is_stop_and_then_down():
    session = Session().play(5, {}, {'swipe_down': SURE})
    session.play(12, {'left': SURE}, {'swipe_down': SURE}).wait(60)
    assert session.said == [
        ('accept', 'stop', 'stop_gesture'),
        ('accept', 'down', 'gesture_corrects_voice'),
    ]


def test_swipe_down_and_down_is_down():
    session = Session().play(5, {}, {'swipe_down': SURE})
    session.play(30, {'down': SURE}, {'swipe_down': SURE}).wait(60)
    assert session.accepted == ['stop', 'down']


# A gesture beside a word


@pytest.mark.parametrize('delay', [0, 5, 15])
def test_a_gesture_corrects_the_direction_said_before(delay: int):
    session = Session().play(8, {'right': SURE}).wait(delay)
    session.play(20, {}, {'swipe_left': SURE}).wait(60)
    assert session.said == [
        ('accept', 'right', 'voice'),
        ('accept', 'left', 'gesture_corrects_voice'),
    ]
    correction = session.decisions[1]
    assert correction.heard.label == 'right'
    assert correction.seen.label == 'swipe_left'
    assert correction.reason.count('right') == 1 and 'swipe left' in correction.reason


@pytest.mark.parametrize('score', [0.7, SURE])
@pytest.mark.parametrize('lead', [3, 10, 20])
def test_a_gesture_corrects_the_direction_said_after(score: float, lead: int):
    session = Session().play(lead, {}, {'swipe_left': score})
    session.play(12, {'right': SURE}, {'swipe_left': score}).wait(60)
    assert set(session.accepted) == {'left'}
    assert session.said[-1] == ('accept', 'left', 'gesture_corrects_voice')


def test_word_and_gesture_at_once_end_as_the_gesture():
    session = Session().play(12, {'right': SURE}, {'swipe_left': SURE}).wait(60)
    assert session.accepted[-1] == 'left'


def test_a_gesture_after_the_pairing_window_is_a_command_of_its_own():
    session = Session().play(8, {'right': SURE}).wait(25).play(20, {}, {'swipe_left': SURE})
    assert session.said[-1] == ('accept', 'left', 'gesture_alone')


@pytest.mark.parametrize('first', ['voice', 'gesture', 'both'])
def test_a_gesture_that_agrees_adds_nothing(first: str):
    session = Session()
    if first != 'gesture':
        session.play(8, {'left': SURE}, {'swipe_left': SURE} if first == 'both' else None)
    session.play(8, None, {'swipe_left': SURE})
    if first == 'gesture':
        session.play(8, {'left': SURE}, {'swipe_left': SURE})
    assert session.wait(60).accepted == ['left']


def test_a_gesture_does_not_correct_what_is_no_direction():
    session = Session().play(8, {'go': SURE}).play(15, {}, {'swipe_left': 0.7}).wait(60)
    assert session.accepted == ['go']


def test_an_unsure_gesture_corrects_nothing():
    session = Session().play(8, {'right': SURE}).play(15, {}, {'swipe_left': UNSURE}).wait(60)
    assert session.accepted == ['right']


@pytest.mark.parametrize('first', ['voice', 'gesture'])
def test_a_weak_word_with_an_agreeing_gesture_is_accepted(first: str):
    session = Session()
    word, gesture, both = {'left': UNSURE}, {'swipe_left': 0.7}, {'left': 0.6}
    if first == 'voice':
        session.play(6, word, None, both).play(10, None, gesture, both)
    else:
        session.play(4, None, gesture, both).play(8, word, gesture, both)
    assert session.wait(60).said == [('accept', 'left', 'agreement')]


def test_a_weak_word_that_was_the_beginning_of_another_does_not_undo_the_gesture():
    session = Session().play(6, {'up': UNSURE}, {'swipe_up': 0.65}, {'up': 0.6})
    session.play(32, {'right': SURE}).wait(60)
    assert set(session.accepted) == {'up'}
    assert session.said[0] == ('accept', 'up', 'agreement')


def test_agreement_needs_the_fused_head():
    session = Session().play(8, {'left': UNSURE}, {'swipe_left': 0.7}, {'none': 0.99}).wait(60)
    assert session.accepted == []


def test_a_weak_word_and_an_unsure_gesture_that_differ_ask():
    session = Session().play(8, {'left': UNSURE}, {'swipe_right': 0.7}, {'left': 0.5}).wait(60)
    assert session.said == [('ask', '', 'conflict')]


def test_the_fused_head_decides_when_it_is_sure():
    session = Session().play(8, {'left': UNSURE}, {'swipe_right': 0.7}, {'right': 0.95}).wait(60)
    assert session.said == [('accept', 'right', 'fused_decides')]


# A gesture alone


@pytest.mark.parametrize('gesture', ['swipe_left', 'swipe_right', 'swipe_up'])
def test_a_sure_gesture_acts_alone_and_once(gesture: str):
    session = Session().play(60, {}, {gesture: SURE}).wait(60)
    assert session.said == [('accept', gesture.removeprefix('swipe_'), 'gesture_alone')]


def test_a_gesture_alone_must_be_surer_than_with_a_word():
    session = Session().play(40, {}, {'swipe_left': 0.75}).wait(60)
    assert session.said == [('reject', '', 'weak_gesture')]


def test_a_gesture_that_is_not_listed_does_nothing_alone():
    table = table_with(('alone: [swipe_left, swipe_right, swipe_up]', 'alone: [swipe_left]'))
    session = Session(table).play(40, {}, {'swipe_up': SURE}).wait(60)
    assert session.said == [('reject', '', 'gesture_not_allowed')]


def test_the_hand_on_its_way_back_does_nothing():
    session = Session().play(15, {}, {'swipe_left': SURE}).play(45, {}, {'swipe_right': SURE})
    assert session.wait(60).accepted == ['left']


def test_two_gestures_with_a_pause_act_twice():
    session = Session().play(30, {}, {'swipe_left': SURE}).wait(20)
    session.play(30, {}, {'swipe_right': SURE})
    assert session.accepted == ['left', 'right']


# Rules that are switched off


@pytest.mark.parametrize(
    ('rule', 'voice', 'gesture', 'intent'),
    [
        ('voice', {'left': SURE}, {}, {}),
        ('stop_gesture', {}, {'swipe_down': SURE}, {}),
        ('gesture_alone', {}, {'swipe_left': SURE}, {}),
        ('agreement', {'left': UNSURE}, {'swipe_left': 0.7}, {'left': 0.6}),
        ('fused_decides', {'left': UNSURE}, {'swipe_right': 0.7}, {'right': 0.95}),
    ],
)
def test_a_disabled_rule_accepts_nothing(rule: str, voice: dict, gesture: dict, intent: dict):
    assert rule in [r for _, _, r in Session().play(10, voice, gesture, intent).wait(60).said]
    session = Session(without(rule)).play(10, voice, gesture, intent).wait(60)
    assert session.accepted == []


def test_without_correction_the_word_stands():
    session = Session(without('gesture_corrects_voice'))
    session.play(8, {'right': SURE}).play(10, {}, {'swipe_left': 0.7}).wait(60)
    assert session.accepted == ['right']


@pytest.mark.parametrize('rule', ['unknown_word', 'weak_voice', 'weak_gesture', 'conflict'])
def test_a_disabled_report_is_silent(rule: str):
    inputs = {
        'unknown_word': ({'unknown': 0.9}, {}),
        'weak_voice': ({'left': UNSURE}, {}),
        'weak_gesture': ({}, {'swipe_left': 0.7}),
        'conflict': ({'left': UNSURE}, {'swipe_right': 0.7}),
    }[rule]
    session = Session(without(rule)).play(10, *inputs).wait(60)
    assert rule not in [r for _, _, r in session.said]


# Explanations, time, labels


def test_sentences_are_plain():
    session = Session().play(8, {'left': SURE}).wait(40).play(1, {'stop': 0.85})
    # The quick mean, less its margin, is what passed the threshold.
    score = SURE - session.table.voice_quick_margin
    assert session.decisions[0].reason == f'Heard "left" clearly ({score:.0%}).'
    assert session.decisions[1].reason == 'Heard "stop" (85%), so the robot stops at once.'


def test_a_clock_that_jumps_back_does_not_block_the_robot():
    session = Session().play(8, {'left': SURE}).wait(5)
    session.now_ns -= 3_600_000_000_000
    session.wait(5).play(8, {'go': SURE})
    assert session.accepted == ['left', 'go']


def test_a_clock_that_jumps_forward_does_not_act_twice():
    session = Session().play(8, {'left': SURE})
    session.now_ns += 3_600_000_000_000
    session.play(20, {'left': SURE})
    assert session.accepted == ['left']


def test_two_clocks_that_take_turns_are_one():
    """Hops of the IMU's clock, a little behind the audio's, must not pass for a jump."""
    session = Session().play(8, {'left': SURE})
    session.now_ns -= 200_000_000
    session.play(30, {'left': SURE})
    assert session.accepted == ['left']
    stamps = [d.stamp_ns for d in session.decisions]
    assert stamps == sorted(stamps)


def test_a_table_for_another_model_is_refused():
    labels = LABELS | {'voice': ('forward', 'stop', 'unknown', 'silence')}
    with pytest.raises(KwsImuError, match="'directions' names 'left'"):
        Policy(load_table(POLICY), labels)


def test_a_model_without_directions_or_gestures_in_common_works():
    labels = {
        'voice': ('forward', 'halt', 'silence'),
        'gesture': ('wave', 'none'),
        'intent': ('forward', 'halt', 'none'),
    }
    table = table_with(
        ('unknown: [unknown]', 'unknown: []'),
        ('words: [stop]', 'words: [halt]'),
        ('gestures: [swipe_down]', 'gestures: []'),
        ('alone: [swipe_left, swipe_right, swipe_up]', 'alone: []'),
        (
            'meanings:\n    swipe_left: left\n    swipe_right: right\n    swipe_up: up\n'
            '    swipe_down: down',
            'meanings: {}',
        ),
        ('directions: [left, right, up, down]', 'directions: []'),
    )
    policy = Policy(table, labels)
    idle = Posteriors(
        np.float32([0.0, 0.0, 1.0]), np.float32([0.0, 1.0]), np.float32([0.0, 0.0, 1.0])
    )
    forward = Posteriors(np.float32([0.9, 0.0, 0.1]), idle.gesture, idle.intent)
    halt = Posteriors(np.float32([0.0, 0.9, 0.1]), idle.gesture, idle.intent)
    assert policy.step(0, idle, idle) is None
    assert policy.step(HOP_NS, forward, forward).intent == 'forward'
    assert policy.step(2 * HOP_NS, halt, idle).intent == 'stop'


# Whatever is heard and seen

episodes = st.lists(
    st.tuples(
        st.integers(1, 40),
        st.one_of(
            st.just({}),
            st.tuples(st.sampled_from(LABELS['voice'][:-1]), st.floats(0.0, 1.0)).map(
                lambda pair: dict([pair])
            ),
        ),
        st.one_of(
            st.just({}),
            st.tuples(st.sampled_from(LABELS['gesture'][:-1]), st.floats(0.0, 1.0)).map(
                lambda pair: dict([pair])
            ),
        ),
        st.one_of(
            st.just({}),
            st.tuples(st.sampled_from(LABELS['intent'][:-1]), st.floats(0.0, 1.0)).map(
                lambda pair: dict([pair])
            ),
        ),
    ),
    max_size=12,
)
UNBOUND = ('stop', 'stop_gesture', 'gesture_corrects_voice')


@settings(max_examples=60)
@given(episodes=episodes)
def test_only_stops_and_corrections_act_within_the_refractory_time(episodes):
    session = Session()
    for episode in episodes:
        session.play(*episode)
    accepts = [d for d in session.decisions if d.outcome == 'accept']
    for earlier, later in itertools.pairwise(accepts):
        if later.rule not in UNBOUND:
            assert later.stamp_ns - earlier.stamp_ns >= session.table.refractory_ns


@settings(max_examples=60)
@given(episodes=episodes)
def test_stop_always_wins(episodes):
    """A robot that moves stops on the very hop on which stop is heard."""
    session = Session()
    for episode in episodes:
        session.play(*episode)
    session.wait(3)  # The word stop, if it was there, is over.
    decision = session.step(posterior('voice', stop=0.9), posterior('gesture'), posterior('intent'))
    assert decision is not None
    assert (decision.outcome, decision.intent) == ('accept', 'stop')


@settings(max_examples=60)
@given(episodes=episodes)
def test_a_stop_gesture_wins_unless_a_direction_was_just_said(episodes):
    session = Session()
    for episode in episodes:
        session.play(*episode)
    session.wait(3)
    voiced = [
        d
        for d in session.decisions
        if d.rule == 'voice' and session.now_ns - d.stamp_ns <= session.table.pairing_window_ns
    ]
    decision = session.step(
        posterior('voice'), posterior('gesture', swipe_down=0.95), posterior('intent')
    )
    if not voiced:
        assert decision is not None
        assert (decision.outcome, decision.intent) == ('accept', 'stop')


@settings(max_examples=60)
@given(episodes=episodes)
def test_nothing_is_accepted_that_was_neither_heard_nor_seen(episodes):
    session = Session()
    for episode in episodes:
        session.play(*episode)
        said = {label for _, voice, _, _ in episodes for label in voice}
        seen = {session.table.meanings[label] for _, _, gesture, _ in episodes for label in gesture}
    for decision in session.decisions:
        if decision.outcome == 'accept':
            assert decision.intent in said | seen | {'stop'}
            assert (decision.intent == 'stop') <= ('stop' in said or 'down' in seen)
        else:
            assert decision.intent == ''
        assert decision.reason


@settings(max_examples=30)
@given(episodes=episodes)
def test_the_same_input_gives_the_same_decisions(episodes):
    sessions = [Session(), Session()]
    for session in sessions:
        for episode in episodes:
            session.play(*episode)
    sessions[1].policy.reset()
    assert sessions[0].decisions == sessions[1].decisions


@settings(max_examples=20)
@given(episodes=episodes)
def test_a_policy_that_was_reset_is_as_new(episodes):
    used = Session()
    for episode in episodes:
        used.play(*episode)
    used.wait(5)
    used.policy.reset()
    used.decisions.clear()
    fresh = Session()
    for session in (used, fresh):
        session.play(10, {'left': SURE}).play(20, {}, {'swipe_right': SURE}).wait(60)
    assert used.said == fresh.said


def test_smoothing_is_the_mean_of_the_newest_hops():
    smoother = PosteriorSmoother(3, np.float32([0.0, 1.0]))
    rng = np.random.default_rng(1)
    history = [np.float32([0.0, 1.0])] * 3
    for _ in range(10):
        history.append(rng.dirichlet([1.0, 1.0]).astype(np.float32))
        smoothed = smoother.push(history[-1])
        assert smoothed.dtype == np.float32
        np.testing.assert_allclose(smoothed, np.mean(history[-3:], axis=0), atol=1e-6)
    smoother.reset()
    np.testing.assert_allclose(smoother.push(np.float32([1.0, 0.0])), [1 / 3, 2 / 3], atol=1e-6)


def test_what_is_clear_at_once_counts_before_the_long_mean_does():
    smoother = PosteriorSmoother(8, np.float32([0.0, 1.0]), 3, 0.15)
    clear = smooth(smoother, np.repeat(np.float32([[1.0, 0.0]]), 8, axis=0))[:, 0]
    quick = np.array([1, 2, 3, 3, 3, 3, 3, 3]) / 3 - 0.15
    np.testing.assert_allclose(clear, np.maximum(quick, np.arange(1, 9) / 8), atol=1e-6)
    # What is less clear passes the same threshold only if it lasts.
    unclear = smooth(smoother, np.repeat(np.float32([[0.7, 0.3]]), 8, axis=0))[:, 0]
    assert np.argmax(unclear > 0.6) == 6


def test_a_short_burst_of_talk_stays_below_the_threshold_of_a_lasting_word():
    session = Session().play(3, {'left': 0.7}).wait(20)
    assert session.accepted == []
    assert session.play(8, {'left': 0.7}).accepted == ['left']


@pytest.mark.parametrize('quick', [0, 9])
def test_quick_smoothing_is_over_some_of_the_hops(quick: int):
    with pytest.raises(KwsImuError, match=f'{quick} of 8 hops'):
        PosteriorSmoother(8, np.float32([1.0]), quick)


def test_smoothing_over_no_hops_is_refused():
    with pytest.raises(KwsImuError, match='0 hops'):
        PosteriorSmoother(0, np.float32([1.0]))
