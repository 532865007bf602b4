"""
The disambiguation policy: from posteriors of words, gestures and both to one decision a hop.

The rules and their order are in ``config/policy.yaml``; this module gives them their meaning. It is
deterministic and reads no clock.

Terms: a label is *armed* when it may act; acting disarms it until its posterior has fallen below
the release threshold, so that one utterance acts once however long it stays in the network's
window. A word between its weak threshold and its threshold is *weak*. A gesture is *seen* when it
reaches its threshold; it then waits, for at most the pairing window, for a word to go with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kws_imu_ros.decision.decision import Decision, Score
from kws_imu_ros.decision.table import (
    ALONE_THRESHOLD,
    GESTURE_THRESHOLD,
    RULES,
    VOICE_THRESHOLD,
    PolicyTable,
)
from kws_imu_ros.model.outputs import Posteriors

# Steps back in time up to this are jitter between two sensors' clocks, beyond it a new time.
JITTER_NS = 1_000_000_000
# A gesture that still rises may soon be sure enough to act alone.
SETTLING_NS = 200_000_000
# A word and the window that it is heard in are over after this long; what is heard then is new.
LONGEST_ECHO_NS = 2_000_000_000


@dataclass
class _Hop:
    """One hop's posteriors as lists: indexing a list is several times faster than an array."""

    stamp_ns: int
    raw_voice: list[float]
    raw_gesture: list[float]
    voice: list[float]
    gesture: list[float]
    intent: list[float]


@dataclass
class _Word:
    """A direction that was accepted, or a weak word, that may go with a gesture."""

    label: str
    score: float
    stamp_ns: int  # newest hop on which it was heard


@dataclass
class _Gesture:
    """A gesture that was seen; `acted` when it needs no further decision."""

    index: int
    label: str
    meaning: str
    score: float
    stamp_ns: int
    acted: bool = False


class Policy:
    """Decide, hop by hop, what was meant."""

    def __init__(
        self,
        table: PolicyTable,
        labels: Mapping[str, Sequence[str]],
        calibrated: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """
        Bind a table to a model's labels.

        labels: label names of the heads 'voice', 'gesture' and 'intent'.
        calibrated: thresholds from the model's manifest, head -> label -> posterior, that stand
        for 'auto'; those of the gesture head are for gestures without a word.

        Raises:
            KwsImuError: the table names a label that the model does not know.

        """
        table.check_labels(labels)
        calibrated = calibrated or {}
        self.table = table
        self._voice, self._gesture, self._intent = (
            tuple(labels[head]) for head in ('voice', 'gesture', 'intent')
        )
        self._voice_thresholds = table.voice_thresholds.resolve(
            self._voice, calibrated.get('voice', {}), VOICE_THRESHOLD, table.voice_offset
        )
        self._gesture_thresholds = table.gesture_thresholds.resolve(
            self._gesture, {}, GESTURE_THRESHOLD, table.gesture_offset
        )
        self._alone_thresholds = table.alone_thresholds.resolve(
            self._gesture, calibrated.get('gesture', {}), ALONE_THRESHOLD, table.gesture_offset
        )
        idle = {table.voice_background, *table.voice_unknown, *table.stop_words}
        self._words = [i for i, label in enumerate(self._voice) if label not in idle]
        self._unknown = [self._voice.index(label) for label in table.voice_unknown]
        self._stop_words = [self._voice.index(label) for label in table.stop_words]
        self._gestures = [
            i
            for i, label in enumerate(self._gesture)
            if label in table.meanings and label != table.gesture_background
        ]
        self._stop_gestures = [self._gesture.index(label) for label in table.stop_gestures]
        self._enabled = {name: name not in table.disabled for name in RULES}
        self.reset()

    def reset(self) -> None:
        """Forget all that was heard and seen, as after a jump of the clock."""
        self._now_ns: int | None = None
        self._word_armed = [True] * len(self._voice)
        # For how many hops in a row each word has not been heard.
        self._unheard_hops = [0] * len(self._voice)
        self._gesture_armed = [True] * len(self._gesture)
        self._stop_gesture_armed = [True] * len(self._gesture)
        self._voiced: _Word | None = None
        self._weak: _Word | None = None
        self._seen: _Gesture | None = None
        self._unknown_peak = 0.0
        self._fused_peak = [0.0] * len(self._intent)
        # Times until which something must not happen; None when it may.
        self._refractory_until: int | None = None
        self._gesture_refractory_until: int | None = None
        self._quiet_until: int | None = None
        self._echo_until: int | None = None
        # The word that acted last, and since when, as long as the network still hears it.
        self._echoing: _Word | None = None

    def step(self, stamp_ns: int, raw: Posteriors, smoothed: Posteriors) -> Decision | None:
        """
        Take one hop and return the decision that falls on it, if any.

        stamp_ns: time of the hop. raw, smoothed: posteriors before and after smoothing.
        """
        if self._now_ns is not None and stamp_ns < self._now_ns:
            if self._now_ns - stamp_ns > JITTER_NS:
                self.reset()
            else:
                stamp_ns = self._now_ns
        self._now_ns = stamp_ns
        hop = _Hop(
            stamp_ns,
            raw.voice.tolist(),
            raw.gesture.tolist(),
            smoothed.voice.tolist(),
            smoothed.gesture.tolist(),
            smoothed.intent.tolist(),
        )
        self._rearm(hop)
        self._follow_echo(hop)
        self._observe_gesture(hop)
        self._observe_word(hop)
        for rule in (
            self._stop,
            self._stop_gesture,
            self._gesture_after_word,
            self._word,
            self._agreement,
            self._gesture_alone,
            self._conflict,
            self._unknown_word,
            self._end_of_weak_word,
            self._end_of_gesture,
        ):
            decision = rule(hop)
            if decision is not None:
                return decision
        return None

    # What is heard and seen

    def _rearm(self, hop: _Hop) -> None:
        """Arm the labels that have gone."""
        release = self.table.voice_release
        for i in (*self._words, *self._stop_words):
            self._unheard_hops[i] = 0 if hop.raw_voice[i] >= release else self._unheard_hops[i] + 1
            if hop.voice[i] < release and hop.raw_voice[i] < release:
                self._word_armed[i] = True
        for i in self._stop_words:
            # A second stop must not wait until the first has left the mean.
            if self._unheard_hops[i] >= self.table.voice_quick_hops:
                self._word_armed[i] = True
        release = self.table.gesture_release
        for i in self._gestures:
            if hop.gesture[i] < release and hop.raw_gesture[i] < release:
                self._gesture_armed[i] = True
                self._stop_gesture_armed[i] = True

    def _follow_echo(self, hop: _Hop) -> None:
        """
        Follow a word that has acted until it has left the network's window.

        While it does, what is left of it may look like another word: the end of "stop" is an "up".
        """
        word = self._echoing
        if word is None:
            return
        heard = self._unheard_hops[self._voice.index(word.label)] < self.table.voice_quick_hops
        if not heard or hop.stamp_ns - word.stamp_ns > LONGEST_ECHO_NS:
            self._echoing = None
            return
        self._echo_until = hop.stamp_ns + self.table.echo_ns

    def _observe_gesture(self, hop: _Hop) -> None:
        """Notice a gesture that reaches its threshold, and forget a voiced word that is too old."""
        window_ns = self.table.pairing_window_ns
        if self._voiced is not None and hop.stamp_ns - self._voiced.stamp_ns > window_ns:
            self._voiced = None
        blocked = _before(hop.stamp_ns, self._gesture_refractory_until)
        for i in self._gestures:
            if hop.gesture[i] < self._gesture_thresholds[i] or not self._gesture_armed[i]:
                continue
            # A gesture that begins while another one is fading is swallowed, not postponed: it is
            # the hand on its way back.
            self._gesture_armed[i] = False
            if not blocked:
                label = self._gesture[i]
                self._seen = _Gesture(
                    i, label, self.table.meanings[label], hop.gesture[i], hop.stamp_ns
                )
        if self._seen is not None:
            self._seen.score = max(self._seen.score, hop.gesture[self._seen.index])

    def _observe_word(self, hop: _Hop) -> None:
        """Follow weak and unknown words and the fused head's opinion of them."""
        table = self.table
        quiet = _before(hop.stamp_ns, self._quiet_until) or _before(hop.stamp_ns, self._echo_until)
        best = max(self._words, key=lambda i: hop.voice[i], default=None)
        if best is not None and not quiet and self._word_armed[best]:
            score = hop.voice[best]
            if score >= table.weak_threshold:
                if self._weak is None or score > self._weak.score:
                    self._weak = _Word(self._voice[best], score, hop.stamp_ns)
                self._weak.stamp_ns = hop.stamp_ns
        if quiet:
            self._unknown_peak = 0.0
        elif self._unknown:
            score = max(hop.voice[i] for i in self._unknown)
            if score >= table.unknown_threshold:
                self._unknown_peak = max(self._unknown_peak, score)
        if self._weak is None and self._seen is None:
            self._fused_peak = [0.0] * len(self._intent)
        else:
            self._fused_peak = list(map(max, self._fused_peak, hop.intent))

    def _fused_support(self, label: str) -> float:
        """Return how sure the fused head was of a label since word or gesture appeared."""
        return self._fused_peak[self._intent.index(label)] if label in self._intent else 0.0

    # The rules, strongest first

    def _stop(self, hop: _Hop) -> Decision | None:
        """Stop at once on a word, on the raw posterior of this one hop."""
        for i in self._stop_words:
            sure = hop.raw_voice[i] >= self.table.stop_word_threshold or (
                hop.voice[i] >= self._voice_thresholds[i]
                and hop.raw_voice[i] >= self.table.voice_release
            )
            if sure and self._word_armed[i]:
                heard = Score(self._voice[i], max(hop.raw_voice[i], hop.voice[i]))
                # Whatever the hand does while the mouth says stop must not move the robot later.
                self._swallow_gestures(hop.stamp_ns, self.table.refractory_ns)
                self._seen = None
                decision = self._accept(hop, 'stop', self.table.stop_intent, heard=heard)
                self._word_armed[i] = False
                return decision
        return None

    def _stop_gesture(self, hop: _Hop) -> Decision | None:
        """Stop at once on a gesture, unless it belongs to a direction that was just said."""
        if not self._enabled['stop_gesture'] or self._voiced is not None:
            return None
        for i in self._stop_gestures:
            score = hop.raw_gesture[i]
            if score < self.table.stop_gesture_threshold or not self._stop_gesture_armed[i]:
                continue
            self._swallow_gestures(hop.stamp_ns, self.table.gesture_refractory_ns)
            label = self._gesture[i]
            self._seen = _Gesture(
                i, label, self.table.meanings[label], score, hop.stamp_ns, acted=True
            )
            self._stop_gesture_armed[i] = False
            return self._accept(
                hop, 'stop_gesture', self.table.stop_intent, seen=Score(label, score)
            )
        return None

    def _gesture_after_word(self, hop: _Hop) -> Decision | None:
        """Let a gesture correct, or silently confirm, the direction that was said before it."""
        seen, voiced = self._seen, self._voiced
        if seen is None or seen.acted or voiced is None:
            return None
        if seen.meaning not in self.table.directions:
            return None
        if seen.meaning != voiced.label and not self._enabled['gesture_corrects_voice']:
            return None
        self._use_gesture(hop.stamp_ns)
        self._voiced = None
        if seen.meaning == voiced.label:
            return None
        return self._accept(
            hop,
            'gesture_corrects_voice',
            seen.meaning,
            heard=Score(voiced.label, voiced.score),
            seen=Score(seen.label, seen.score),
        )

    def _word(self, hop: _Hop) -> Decision | None:
        """Act on a word that is sure, corrected or confirmed by a gesture that came before it."""
        ready = [
            i
            for i in self._words
            if hop.voice[i] >= self._voice_thresholds[i] and self._word_armed[i]
        ]
        if not ready:
            return None
        best = max(ready, key=lambda i: hop.voice[i])
        heard = Score(self._voice[best], hop.voice[best])
        seen = self._seen
        direction = heard.label in self.table.directions
        paired = seen is not None and direction and seen.meaning in self.table.directions
        if paired and seen.meaning != heard.label and self._enabled['gesture_corrects_voice']:
            self._use_gesture(hop.stamp_ns)
            self._word_armed[best] = False
            self._seen = None
            return self._accept(
                hop,
                'gesture_corrects_voice',
                seen.meaning,
                heard=heard,
                seen=Score(seen.label, seen.score),
            )
        # A stop gesture that acted meant stop, so the word beside it is news.
        confirmed = paired and seen.acted and seen.label not in self.table.stop_gestures
        if confirmed and seen.meaning == heard.label:
            self._word_armed[best] = False
            self._weak = self._seen = None
            return None
        if not self._enabled['voice'] or self._is_too_early(hop):
            return None
        if paired and seen.meaning == heard.label:
            self._use_gesture(hop.stamp_ns)
            self._seen = None
            direction = False  # The gesture of this word has come.
        self._word_armed[best] = False
        decision = self._accept(hop, 'voice', heard.label, heard=heard)
        if direction:
            self._voiced = _Word(heard.label, heard.score, hop.stamp_ns)
        return decision

    def _agreement(self, hop: _Hop) -> Decision | None:
        """Act on a weak word together with a gesture that means the same."""
        weak, seen = self._weak, self._seen
        if weak is None or seen is None or seen.meaning != weak.label:
            return None
        if seen.acted:
            self._weak = None
            return None
        if not self._enabled['agreement'] or self._is_too_early(hop):
            return None
        if self._fused_support(weak.label) < self.table.agreement_threshold:
            return None
        self._word_armed[self._voice.index(weak.label)] = False
        # The gesture stays in mind: the weak word may be but the beginning of another one, which it
        # corrects.
        self._use_gesture(hop.stamp_ns)
        return self._accept(
            hop,
            'agreement',
            weak.label,
            heard=Score(weak.label, weak.score),
            seen=Score(seen.label, seen.score),
        )

    def _gesture_alone(self, hop: _Hop) -> Decision | None:
        """Act on a gesture that is sure enough to need no word."""
        seen = self._seen
        if seen is None or seen.acted or seen.label not in self.table.alone:
            return None
        if hop.gesture[seen.index] < self._alone_thresholds[seen.index]:
            return None
        if not self._enabled['gesture_alone'] or _before(hop.stamp_ns, self._refractory_until):
            return None
        self._use_gesture(hop.stamp_ns)
        return self._accept(hop, 'gesture_alone', seen.meaning, seen=Score(seen.label, seen.score))

    def _conflict(self, hop: _Hop) -> Decision | None:
        """Ask again when a weak word and an unsure gesture differ and the fused head is unsure."""
        weak, seen = self._weak, self._seen
        if weak is None or seen is None or seen.acted or seen.meaning == weak.label:
            return None
        if weak.label not in self.table.directions or seen.meaning not in self.table.directions:
            return None
        over = hop.voice[self._voice.index(weak.label)] < self.table.voice_release
        settled = hop.stamp_ns - seen.stamp_ns >= SETTLING_NS
        if not over or not settled or _before(hop.stamp_ns, self._refractory_until):
            return None
        scores = {
            'heard': Score(weak.label, weak.score),
            'seen': Score(seen.label, seen.score),
        }
        likely = max((weak.label, seen.meaning), key=self._fused_support)
        self._use_gesture(hop.stamp_ns)
        self._weak = self._seen = None
        support = self._fused_support(likely)
        if self._enabled['fused_decides'] and support >= self.table.deciding_threshold:
            return self._accept(
                hop, 'fused_decides', likely, fused=Score(likely, support), **scores
            )
        return self._refuse(hop, 'conflict', **scores)

    def _unknown_word(self, hop: _Hop) -> Decision | None:
        """Say, once it is over, that a word was no command."""
        if self._unknown_peak == 0.0:
            return None
        if max(hop.voice[i] for i in self._unknown) >= self.table.voice_release:
            return None
        score, self._unknown_peak = self._unknown_peak, 0.0
        if self._weak is not None:
            return None  # It began or ended as a word that is a command; that one is reported.
        return self._refuse(hop, 'unknown_word', heard=Score(self._voice[self._unknown[0]], score))

    def _end_of_weak_word(self, hop: _Hop) -> Decision | None:
        """Give up a weak word when no gesture came to help it."""
        weak = self._weak
        if weak is None or hop.stamp_ns - weak.stamp_ns <= self.table.pairing_window_ns:
            return None
        self._weak = None
        return self._refuse(hop, 'weak_voice', heard=Score(weak.label, weak.score))

    def _end_of_gesture(self, hop: _Hop) -> Decision | None:
        """Give up a gesture when no word came to go with it."""
        seen = self._seen
        if seen is None or hop.stamp_ns - seen.stamp_ns <= self.table.pairing_window_ns:
            return None
        self._seen = None
        if seen.acted or _before(hop.stamp_ns, self._quiet_until):
            return None
        sure = seen.score >= self._alone_thresholds[seen.index]
        rule = 'gesture_not_allowed' if sure else 'weak_gesture'
        return self._refuse(hop, rule, seen=Score(seen.label, seen.score))

    # Consequences

    def _is_too_early(self, hop: _Hop) -> bool:
        """Return whether a word may still be the last one's."""
        return _before(hop.stamp_ns, self._refractory_until) or _before(
            hop.stamp_ns, self._echo_until
        )

    def _swallow_gestures(self, stamp_ns: int, duration_ns: int) -> None:
        """Disarm all gestures, and ignore new ones for a while."""
        for i in self._gestures:
            self._gesture_armed[i] = False
        until = stamp_ns + duration_ns
        if not _before(until, self._gesture_refractory_until):
            self._gesture_refractory_until = until

    def _use_gesture(self, stamp_ns: int) -> None:
        """Mark the gesture that was seen as used up; it stays known for a word that follows."""
        self._seen.acted = True
        self._stop_gesture_armed[self._seen.index] = False
        self._swallow_gestures(stamp_ns, self.table.gesture_refractory_ns)

    def _accept(self, hop: _Hop, rule: str, intent: str, **scores: Score) -> Decision:
        """Return an accepting decision and start the refractory time."""
        self._refractory_until = hop.stamp_ns + self.table.refractory_ns
        self._quiet_until = hop.stamp_ns + self.table.quiet_ns
        heard = scores.get('heard')
        self._echoing = heard and _Word(heard.label, heard.score, hop.stamp_ns)
        self._voiced = self._weak = None
        self._unknown_peak = 0.0
        # Something moves again, so a further stop is news even if the last one still echoes.
        for i in self._stop_words:
            self._word_armed[i] = True
        return self._decide(hop, rule, intent, scores)

    def _refuse(self, hop: _Hop, rule: str, **scores: Score) -> Decision | None:
        """Return a rejecting or asking decision, None when its rule is disabled."""
        return self._decide(hop, rule, '', scores) if self._enabled[rule] else None

    def _decide(self, hop: _Hop, rule: str, intent: str, scores: dict[str, Score]) -> Decision:
        """Return the decision with scores, its own or else the best of each head, and sentence."""
        heard = scores.get('heard') or _best(self._voice, hop.voice)
        seen = scores.get('seen') or _best(self._gesture, hop.gesture)
        fused = scores.get('fused') or _best(self._intent, hop.intent)
        reason = self.table.sentences[rule].format(
            heard=heard.label,
            heard_score=f'{heard.score:.0%}',
            seen=seen.label.replace('_', ' '),
            seen_score=f'{seen.score:.0%}',
            fused=fused.label,
            fused_score=f'{fused.score:.0%}',
            intent=intent,
        )
        return Decision(hop.stamp_ns, RULES[rule], intent, rule, reason, heard, seen, fused)


def _before(stamp_ns: int, until_ns: int | None) -> bool:
    """Return whether a time lies before a limit that may not exist."""
    return until_ns is not None and stamp_ns < until_ns


def _best(labels: tuple[str, ...], posterior: list[float]) -> Score:
    """Return the best label of a head."""
    index = max(range(len(labels)), key=posterior.__getitem__)
    return Score(labels[index], posterior[index])
