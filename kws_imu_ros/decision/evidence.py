"""
What the policy has heard and seen so far and still has in mind.

Terms: a label is *armed* when it may act; acting disarms it until its posterior has fallen below
the release threshold, so that one utterance acts once however long it stays in the network's
window. A word between its weak threshold and its threshold is *weak*. A gesture is *seen* when it
reaches its threshold; it then waits, for at most the pairing window, for a word to go with.
"""

from __future__ import annotations

from dataclasses import dataclass

from kws_imu_ros.decision.vocabulary import Vocabulary
from kws_imu_ros.model.outputs import Posteriors

# A word and the window that it is heard in are over after this long; what is heard then is new.
LONGEST_ECHO_NS = 2_000_000_000


@dataclass(frozen=True)
class Hop:
    """One hop's posteriors as lists: indexing a list is several times faster than an array."""

    stamp_ns: int
    raw_voice: list[float]
    raw_gesture: list[float]
    voice: list[float]
    gesture: list[float]
    intent: list[float]


def make_hop(stamp_ns: int, raw: Posteriors, smoothed: Posteriors) -> Hop:
    """Return a hop of posteriors before and after smoothing."""
    return Hop(
        stamp_ns,
        raw.voice.tolist(),
        raw.gesture.tolist(),
        smoothed.voice.tolist(),
        smoothed.gesture.tolist(),
        smoothed.intent.tolist(),
    )


@dataclass
class Word:
    """A direction that was accepted, or a weak word, that may go with a gesture."""

    label: str
    score: float
    stamp_ns: int  # newest hop on which it was heard


@dataclass
class Gesture:
    """A gesture that was seen; `acted` when it needs no further decision."""

    index: int
    label: str
    meaning: str
    score: float
    stamp_ns: int
    acted: bool = False


@dataclass
class Arming:
    """Which labels may act, and for how many hops in a row each word has not been heard."""

    words: list[bool]
    gestures: list[bool]
    stop_gestures: list[bool]
    unheard_hops: list[int]

    def follow(self, hop: Hop, vocabulary: Vocabulary) -> None:
        """Arm the labels that have gone."""
        table = vocabulary.table
        release = table.voice_release
        for i in (*vocabulary.words, *vocabulary.stop_words):
            self.unheard_hops[i] = 0 if hop.raw_voice[i] >= release else self.unheard_hops[i] + 1
            if hop.voice[i] < release and hop.raw_voice[i] < release:
                self.words[i] = True
        for i in vocabulary.stop_words:
            # A second stop must not wait until the first has left the mean.
            if self.unheard_hops[i] >= table.voice_quick_hops:
                self.words[i] = True
        release = table.gesture_release
        for i in vocabulary.gestures:
            if hop.gesture[i] < release and hop.raw_gesture[i] < release:
                self.gestures[i] = True
                self.stop_gestures[i] = True


@dataclass
class Holds:
    """Times in ns until which something must not happen; None when it may."""

    command: int | None = None
    gesture: int | None = None
    report: int | None = None
    echo: int | None = None

    def word_is_early(self, stamp_ns: int) -> bool:
        """Return whether a word may still be the last one's."""
        return before(stamp_ns, self.command) or before(stamp_ns, self.echo)

    def is_quiet(self, stamp_ns: int) -> bool:
        """Return whether what is heard now may be the end of a command."""
        return before(stamp_ns, self.report) or before(stamp_ns, self.echo)


class Evidence:
    """
    All that the policy has in mind between two hops.

    arming, holds: what may act, and from when.
    voiced: the direction that was accepted last, while a gesture may still correct it.
    weak: the surest weak word, while a gesture may still help it.
    seen: the gesture that was seen, while a word may still come to it.
    unknown_peak: the surest that a word which is no command was since it began, else 0.
    fused_peak: the surest that the fused head was of each label since word or gesture appeared.
    echoing: the word that acted last, as long as the network still hears it.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Start with nothing heard and nothing seen."""
        self._vocabulary = vocabulary
        words, gestures = len(vocabulary.voice), len(vocabulary.gesture)
        self.arming = Arming([True] * words, [True] * gestures, [True] * gestures, [0] * words)
        self.holds = Holds()
        self.voiced: Word | None = None
        self.weak: Word | None = None
        self.seen: Gesture | None = None
        self.echoing: Word | None = None
        self.unknown_peak = 0.0
        self.fused_peak = [0.0] * len(vocabulary.intent)

    def observe(self, hop: Hop) -> None:
        """Take in one hop, before any rule looks at it."""
        self.arming.follow(hop, self._vocabulary)
        self._follow_echo(hop)
        self._forget_voiced(hop)
        self._observe_gesture(hop)
        self._observe_word(hop)
        self._observe_unknown_word(hop)
        self._observe_fused_head(hop)

    def fused_support(self, label: str) -> float:
        """Return how sure the fused head was of a label since word or gesture appeared."""
        intents = self._vocabulary.intent
        return self.fused_peak[intents.index(label)] if label in intents else 0.0

    def swallow_gestures(self, stamp_ns: int, duration_ns: int) -> None:
        """Disarm all gestures, and ignore new ones for a while."""
        for i in self._vocabulary.gestures:
            self.arming.gestures[i] = False
        until = stamp_ns + duration_ns
        if not before(until, self.holds.gesture):
            self.holds.gesture = until

    def use_gesture(self, gesture: Gesture, stamp_ns: int) -> None:
        """Mark a gesture that was seen as used up; it stays known for a word that follows."""
        gesture.acted = True
        self.arming.stop_gestures[gesture.index] = False
        self.swallow_gestures(stamp_ns, self._vocabulary.table.gesture_refractory_ns)

    def _follow_echo(self, hop: Hop) -> None:
        """
        Follow a word that has acted until it has left the network's window.

        While it does, what is left of it may look like another word: the end of "stop" is an "up".
        """
        word, vocabulary = self.echoing, self._vocabulary
        if word is None:
            return
        unheard_hops = self.arming.unheard_hops[vocabulary.voice.index(word.label)]
        heard = unheard_hops < vocabulary.table.voice_quick_hops
        if not heard or hop.stamp_ns - word.stamp_ns > LONGEST_ECHO_NS:
            self.echoing = None
            return
        self.holds.echo = hop.stamp_ns + vocabulary.table.echo_ns

    def _forget_voiced(self, hop: Hop) -> None:
        """Forget a direction that was said too long ago to be corrected."""
        window_ns = self._vocabulary.table.pairing_window_ns
        if self.voiced is not None and hop.stamp_ns - self.voiced.stamp_ns > window_ns:
            self.voiced = None

    def _observe_gesture(self, hop: Hop) -> None:
        """Notice a gesture that reaches its threshold."""
        vocabulary = self._vocabulary
        blocked = before(hop.stamp_ns, self.holds.gesture)
        for i in vocabulary.gestures:
            if hop.gesture[i] < vocabulary.gesture_thresholds[i] or not self.arming.gestures[i]:
                continue
            # A gesture that begins while another one is fading is swallowed, not postponed: it is
            # the hand on its way back.
            self.arming.gestures[i] = False
            if not blocked:
                label = vocabulary.gesture[i]
                meaning = vocabulary.table.meanings[label]
                self.seen = Gesture(i, label, meaning, hop.gesture[i], hop.stamp_ns)
        if self.seen is not None:
            self.seen.score = max(self.seen.score, hop.gesture[self.seen.index])

    def _observe_word(self, hop: Hop) -> None:
        """Follow a weak word."""
        vocabulary = self._vocabulary
        best = max(vocabulary.words, key=lambda i: hop.voice[i], default=None)
        if best is None or not self.arming.words[best] or self.holds.is_quiet(hop.stamp_ns):
            return
        score = hop.voice[best]
        if score < vocabulary.table.weak_threshold:
            return
        if self.weak is None or score > self.weak.score:
            self.weak = Word(vocabulary.voice[best], score, hop.stamp_ns)
        self.weak.stamp_ns = hop.stamp_ns

    def _observe_unknown_word(self, hop: Hop) -> None:
        """Follow a word that is no command."""
        vocabulary = self._vocabulary
        if self.holds.is_quiet(hop.stamp_ns):
            self.unknown_peak = 0.0
        elif vocabulary.unknown:
            score = max(hop.voice[i] for i in vocabulary.unknown)
            if score >= vocabulary.table.unknown_threshold:
                self.unknown_peak = max(self.unknown_peak, score)

    def _observe_fused_head(self, hop: Hop) -> None:
        """Follow the fused head's opinion of a weak word and a gesture."""
        if self.weak is None and self.seen is None:
            self.fused_peak = [0.0] * len(self._vocabulary.intent)
        else:
            self.fused_peak = list(map(max, self.fused_peak, hop.intent))


def before(stamp_ns: int, until_ns: int | None) -> bool:
    """Return whether a time lies before a limit that may not exist."""
    return until_ns is not None and stamp_ns < until_ns
