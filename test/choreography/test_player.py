"""The player gives each intent on its beat, never hurries, and ends what drives on."""

from __future__ import annotations

import itertools
from pathlib import Path

from kws_imu_ros.choreography.choreography import BeatTimes, Choreography, Move
from kws_imu_ros.choreography.player import CueKind, Player, PlayerState
from kws_imu_ros.motion.profiles import load_motion_table

TABLE = load_motion_table(Path(__file__).resolve().parents[2] / 'config' / 'motion.yaml')
BEAT = 500_000_000
S = 1_000_000_000
DANCE = Choreography(
    'dance', 120.0, 4, (Move(1.0, 4.0, robot='left'), Move(5.0, 2.0, robot='up'), Move(9.0, 1.0))
)


def sent(player: Player, until_ns: int, step_ns: int = 20_000_000) -> list[tuple[int, str, str]]:
    """Return (due time, kind, intent) of all that falls while time goes on evenly."""
    found = []
    for now_ns in range(0, until_ns, step_ns):
        for due in player.due(now_ns):
            assert 0 <= due.late_ns < step_ns
            found.append((due.due_ns, due.cue.kind.value, due.cue.intent))
    return found


def test_intents_fall_on_their_beats_after_a_bar_of_counting_in():
    player = Player(DANCE, TABLE)
    assert player.due(10 * S) == []
    player.start(0)
    assert sent(player, 10 * S) == [
        (4 * BEAT, 'move', 'left'),
        (8 * BEAT, 'move', 'up'),
        (10 * BEAT, 'rest', 'stop'),
        (13 * BEAT, 'end', ''),
    ]
    assert player.state is PlayerState.ENDED


def test_a_long_drive_is_renewed_before_its_command_ends():
    player = Player(Choreography('long', 120.0, 4, (Move(1.0, 16.0, robot='up'),)), TABLE)
    player.start(0, count_in=False)
    found = sent(player, 10 * S)
    assert [kind for _, kind, _ in found] == ['move', *['renewal'] * 5, 'rest', 'end']
    times = [time_ns for time_ns, _, _ in found]
    assert all(later - earlier <= 2 * S for earlier, later in itertools.pairwise(times))


def test_a_late_beat_is_told_and_the_next_keeps_its_time():
    player = Player(DANCE, TABLE)
    player.start(0, count_in=False)
    (late,) = player.due(300_000_000)
    assert (late.late, late.lost, late.late_ns) == (True, False, 300_000_000)
    assert player.next_ns() == 4 * BEAT
    # So late that half of it is over: left out.
    (lost,) = player.due(4 * BEAT + BEAT)
    assert lost.lost
    assert player.next_ns() == 6 * BEAT


def test_pause_goes_on_at_the_move_that_was_begun_and_seek_anywhere():
    player = Player(DANCE, TABLE)
    player.start(0, count_in=False)
    player.due(0)
    player.pause(BEAT)
    assert (player.state, player.beat(9 * S)) == (PlayerState.PAUSED, 2.0)
    assert player.due(9 * S) == []
    player.resume(10 * S)
    (again,) = player.due(10 * S + 4 * BEAT)
    assert (again.cue.intent, again.cue.beat, again.late_ns) == ('left', 1.0, 0)
    player.seek(20 * S, 5.0)
    (there,) = player.due(20 * S + 4 * BEAT)
    assert there.cue.intent == 'up'
    player.stop()
    assert player.due(99 * S) == []


def test_seeking_past_the_end_ends_the_dance():
    player = Player(DANCE, TABLE)
    player.start(0, beat=400.0, count_in=False)
    assert [due.cue.kind for due in player.due(0)] == [CueKind.END]


def test_music_gives_the_beats():
    player = Player(DANCE, TABLE, BeatTimes(1.0, [S, 2 * S, 4 * S, 5 * S, 6 * S]))
    player.start(0, count_in=False)
    assert [time_ns for time_ns, kind, _ in sent(player, 8 * S) if kind == 'move'] == [0, 5 * S]


def test_an_empty_dance_ends_at_once():
    player = Player(Choreography('empty', 120.0), TABLE)
    player.start(0, count_in=False)
    assert [due.cue.kind for due in player.due(0)] == [CueKind.END]
    assert player.state is PlayerState.ENDED
