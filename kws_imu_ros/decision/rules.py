"""
What each rule of ``config/policy.yaml`` means, one function a rule.

A rule looks at one case, the hop and all that is in mind, and returns its decision or None, which
leaves the case to the rules after it. `RULES_IN_ORDER` is their order, strongest first.
"""

from __future__ import annotations

from collections.abc import Callable

from kws_imu_ros.decision.decision import Decision, Rule, Score
from kws_imu_ros.decision.evidence import Evidence, Gesture, Hop, Word, before
from kws_imu_ros.decision.vocabulary import Vocabulary

# A gesture that still rises may soon be sure enough to act alone.
SETTLING_NS = 200_000_000


class Case:
    """
    One hop under judgement, and what follows from a decision on it.

    hop: the hop. evidence: what is in mind. vocabulary, table: what the labels mean.
    """

    def __init__(self, hop: Hop, evidence: Evidence, vocabulary: Vocabulary) -> None:
        self.hop = hop
        self.evidence = evidence
        self.vocabulary = vocabulary
        self.table = vocabulary.table

    @property
    def word_is_early(self) -> bool:
        """Return whether a word may still be the last one's."""
        return self.evidence.holds.word_is_early(self.hop.stamp_ns)

    @property
    def command_is_early(self) -> bool:
        """Return whether the last command is too recent for another one."""
        return before(self.hop.stamp_ns, self.evidence.holds.command)

    def use_gesture(self, gesture: Gesture) -> None:
        """Mark a gesture as used up on this hop."""
        self.evidence.use_gesture(gesture, self.hop.stamp_ns)

    def disarm_word(self, index: int) -> None:
        """Let a word act no more until it has gone."""
        self.evidence.arming.words[index] = False

    def accept(
        self,
        rule: Rule,
        intent: str,
        heard: Score | None = None,
        seen: Score | None = None,
        fused: Score | None = None,
    ) -> Decision:
        """Return an accepting decision and start the refractory time."""
        evidence, stamp_ns = self.evidence, self.hop.stamp_ns
        evidence.holds.command = stamp_ns + self.table.refractory_ns
        evidence.holds.report = stamp_ns + self.table.quiet_ns
        evidence.echoing = None if heard is None else Word(heard.label, heard.score, stamp_ns)
        evidence.voiced = evidence.weak = None
        evidence.unknown_peak = 0.0
        # Something moves again, so a further stop is news even if the last one still echoes.
        for i in self.vocabulary.stop_words:
            evidence.arming.words[i] = True
        return self._decide(rule, intent, heard, seen, fused)

    def refuse(
        self, rule: Rule, heard: Score | None = None, seen: Score | None = None
    ) -> Decision | None:
        """Return a rejecting or asking decision, None when its rule is disabled."""
        if not self.vocabulary.is_enabled(rule):
            return None
        return self._decide(rule, '', heard, seen, None)

    def _decide(
        self,
        rule: Rule,
        intent: str,
        heard: Score | None,
        seen: Score | None,
        fused: Score | None,
    ) -> Decision:
        """Return the decision with scores, its own or else the best of each head, and sentence."""
        hop, vocabulary = self.hop, self.vocabulary
        heard = heard or _best(vocabulary.voice, hop.voice)
        seen = seen or _best(vocabulary.gesture, hop.gesture)
        fused = fused or _best(vocabulary.intent, hop.intent)
        reason = self.table.sentences[rule].format(
            heard=heard.label,
            heard_score=f'{heard.score:.0%}',
            seen=seen.label.replace('_', ' '),
            seen_score=f'{seen.score:.0%}',
            fused=fused.label,
            fused_score=f'{fused.score:.0%}',
            intent=intent,
        )
        return Decision(hop.stamp_ns, rule.outcome, intent, rule, reason, heard, seen, fused)


def stop(case: Case) -> Decision | None:
    """Stop at once on a word, on the raw posterior of this one hop."""
    hop, table, evidence = case.hop, case.table, case.evidence
    for i in case.vocabulary.stop_words:
        sure = hop.raw_voice[i] >= table.stop_word_threshold or (
            hop.voice[i] >= case.vocabulary.voice_thresholds[i]
            and hop.raw_voice[i] >= table.voice_release
        )
        if sure and evidence.arming.words[i]:
            heard = Score(case.vocabulary.voice[i], max(hop.raw_voice[i], hop.voice[i]))
            # Whatever the hand does while the mouth says stop must not move the robot later.
            evidence.swallow_gestures(hop.stamp_ns, table.refractory_ns)
            evidence.seen = None
            decision = case.accept(Rule.STOP, table.stop_intent, heard=heard)
            case.disarm_word(i)
            return decision
    return None


def stop_gesture(case: Case) -> Decision | None:
    """Stop at once on a gesture, unless it belongs to a direction that was just said."""
    hop, table, evidence = case.hop, case.table, case.evidence
    if not case.vocabulary.is_enabled(Rule.STOP_GESTURE) or evidence.voiced is not None:
        return None
    for i in case.vocabulary.stop_gestures:
        score = hop.raw_gesture[i]
        if score < table.stop_gesture_threshold or not evidence.arming.stop_gestures[i]:
            continue
        evidence.swallow_gestures(hop.stamp_ns, table.gesture_refractory_ns)
        label = case.vocabulary.gesture[i]
        evidence.seen = Gesture(i, label, table.meanings[label], score, hop.stamp_ns, acted=True)
        evidence.arming.stop_gestures[i] = False
        return case.accept(Rule.STOP_GESTURE, table.stop_intent, seen=Score(label, score))
    return None


def gesture_after_word(case: Case) -> Decision | None:
    """Let a gesture correct, or silently confirm, the direction that was said before it."""
    seen, voiced = case.evidence.seen, case.evidence.voiced
    if seen is None or seen.acted or voiced is None:
        return None
    if not case.vocabulary.is_direction(seen.meaning):
        return None
    confirms = seen.meaning == voiced.label
    if not confirms and not case.vocabulary.is_enabled(Rule.GESTURE_CORRECTS_VOICE):
        return None
    case.use_gesture(seen)
    case.evidence.voiced = None
    if confirms:
        return None
    return _correct(case, Score(voiced.label, voiced.score), seen)


def word(case: Case) -> Decision | None:
    """Act on a word that is sure, corrected or confirmed by a gesture that came before it."""
    best = _surest_word(case)
    if best is None:
        return None
    evidence, vocabulary = case.evidence, case.vocabulary
    heard = Score(vocabulary.voice[best], case.hop.voice[best])
    is_direction = vocabulary.is_direction(heard.label)
    seen, confirming = evidence.seen, None
    if seen is not None and is_direction and vocabulary.is_direction(seen.meaning):
        if seen.meaning == heard.label:
            confirming = seen
        elif vocabulary.is_enabled(Rule.GESTURE_CORRECTS_VOICE):
            case.use_gesture(seen)
            case.disarm_word(best)
            evidence.seen = None
            return _correct(case, heard, seen)
    # A stop gesture that acted meant stop, so the word beside it is news.
    if (
        confirming is not None
        and confirming.acted
        and confirming.label not in case.table.stop_gestures
    ):
        case.disarm_word(best)
        evidence.weak = evidence.seen = None
        return None
    if not vocabulary.is_enabled(Rule.VOICE) or case.word_is_early:
        return None
    if confirming is not None:
        case.use_gesture(confirming)
        evidence.seen = None
    case.disarm_word(best)
    decision = case.accept(Rule.VOICE, heard.label, heard=heard)
    if is_direction and confirming is None:
        evidence.voiced = Word(heard.label, heard.score, case.hop.stamp_ns)
    return decision


def agreement(case: Case) -> Decision | None:
    """Act on a weak word together with a gesture that means the same."""
    evidence, vocabulary = case.evidence, case.vocabulary
    weak, seen = evidence.weak, evidence.seen
    if weak is None or seen is None or seen.meaning != weak.label:
        return None
    if seen.acted:
        evidence.weak = None
        return None
    if not vocabulary.is_enabled(Rule.AGREEMENT) or case.word_is_early:
        return None
    if evidence.fused_support(weak.label) < case.table.agreement_threshold:
        return None
    case.disarm_word(vocabulary.voice.index(weak.label))
    # The gesture stays in mind: the weak word may be but the beginning of another one, which it
    # corrects.
    case.use_gesture(seen)
    return case.accept(
        Rule.AGREEMENT,
        weak.label,
        heard=Score(weak.label, weak.score),
        seen=Score(seen.label, seen.score),
    )


def gesture_alone(case: Case) -> Decision | None:
    """Act on a gesture that is sure enough to need no word."""
    seen = case.evidence.seen
    if seen is None or seen.acted or seen.label not in case.table.alone:
        return None
    if case.hop.gesture[seen.index] < case.vocabulary.alone_thresholds[seen.index]:
        return None
    if not case.vocabulary.is_enabled(Rule.GESTURE_ALONE) or case.command_is_early:
        return None
    case.use_gesture(seen)
    return case.accept(Rule.GESTURE_ALONE, seen.meaning, seen=Score(seen.label, seen.score))


def conflict(case: Case) -> Decision | None:
    """Ask again when a weak word and an unsure gesture differ and the fused head is unsure."""
    evidence, vocabulary, hop = case.evidence, case.vocabulary, case.hop
    weak, seen = evidence.weak, evidence.seen
    if weak is None or seen is None or seen.acted or seen.meaning == weak.label:
        return None
    if not vocabulary.is_direction(weak.label) or not vocabulary.is_direction(seen.meaning):
        return None
    over = hop.voice[vocabulary.voice.index(weak.label)] < case.table.voice_release
    settled = hop.stamp_ns - seen.stamp_ns >= SETTLING_NS
    if not over or not settled or case.command_is_early:
        return None
    heard, shown = Score(weak.label, weak.score), Score(seen.label, seen.score)
    likely = max((weak.label, seen.meaning), key=evidence.fused_support)
    support = evidence.fused_support(likely)
    case.use_gesture(seen)
    evidence.weak = evidence.seen = None
    if vocabulary.is_enabled(Rule.FUSED_DECIDES) and support >= case.table.deciding_threshold:
        return case.accept(Rule.FUSED_DECIDES, likely, heard, shown, Score(likely, support))
    return case.refuse(Rule.CONFLICT, heard, shown)


def unknown_word(case: Case) -> Decision | None:
    """Say, once it is over, that a word was no command."""
    evidence, vocabulary = case.evidence, case.vocabulary
    if evidence.unknown_peak == 0.0:
        return None
    if max(case.hop.voice[i] for i in vocabulary.unknown) >= case.table.voice_release:
        return None
    score, evidence.unknown_peak = evidence.unknown_peak, 0.0
    if evidence.weak is not None:
        return None  # It began or ended as a word that is a command; that one is reported.
    return case.refuse(Rule.UNKNOWN_WORD, Score(vocabulary.voice[vocabulary.unknown[0]], score))


def end_of_weak_word(case: Case) -> Decision | None:
    """Give up a weak word when no gesture came to help it."""
    weak = case.evidence.weak
    if weak is None or case.hop.stamp_ns - weak.stamp_ns <= case.table.pairing_window_ns:
        return None
    case.evidence.weak = None
    return case.refuse(Rule.WEAK_VOICE, heard=Score(weak.label, weak.score))


def end_of_gesture(case: Case) -> Decision | None:
    """Give up a gesture when no word came to go with it."""
    seen, stamp_ns = case.evidence.seen, case.hop.stamp_ns
    if seen is None or stamp_ns - seen.stamp_ns <= case.table.pairing_window_ns:
        return None
    case.evidence.seen = None
    if seen.acted or before(stamp_ns, case.evidence.holds.report):
        return None
    sure = seen.score >= case.vocabulary.alone_thresholds[seen.index]
    rule = Rule.GESTURE_NOT_ALLOWED if sure else Rule.WEAK_GESTURE
    return case.refuse(rule, seen=Score(seen.label, seen.score))


RULES_IN_ORDER: tuple[Callable[[Case], Decision | None], ...] = (
    stop,
    stop_gesture,
    gesture_after_word,
    word,
    agreement,
    gesture_alone,
    conflict,
    unknown_word,
    end_of_weak_word,
    end_of_gesture,
)


def _surest_word(case: Case) -> int | None:
    """Return the index of the surest armed word above its threshold, None where there is none."""
    hop, vocabulary = case.hop, case.vocabulary
    ready = [
        i
        for i in vocabulary.words
        if hop.voice[i] >= vocabulary.voice_thresholds[i] and case.evidence.arming.words[i]
    ]
    return max(ready, key=lambda i: hop.voice[i], default=None)


def _correct(case: Case, heard: Score, seen: Gesture) -> Decision:
    """Do what the hand says instead of the mouth."""
    shown = Score(seen.label, seen.score)
    return case.accept(Rule.GESTURE_CORRECTS_VOICE, seen.meaning, heard, shown)


def _best(labels: tuple[str, ...], posterior: list[float]) -> Score:
    """Return the best label of a head."""
    index = max(range(len(labels)), key=posterior.__getitem__)
    return Score(labels[index], posterior[index])
