"""
The fusion pipeline: audio blocks and IMU samples in, posteriors and decisions out.

The live node and offline replay call this same object, so what a test proves on a bag is what the
robot does. It reads no clock: time is what the stamps of its inputs say, and the same inputs in
the same order give the same output to the byte.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.audio.frontend import LogMelStream
from kws_imu_ros.decision.decision import Decision
from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.decision.smoothing import make_smoothers
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.window import ImuHealth, ImuWindow
from kws_imu_ros.model.interpreter import Interpreter
from kws_imu_ros.model.outputs import Posteriors

SECOND_NS = 1_000_000_000
SILENT_DBFS = -96.0
# Fields of PipelineHealth that count from zero.
_COUNTS = (
    'hops',
    'audio_blocks',
    'audio_gaps',
    'audio_filled_samples',
    'audio_duplicates',
    'audio_restarts',
    'audio_clock_jumps',
)


@dataclass(frozen=True)
class PipelineConfig:
    """
    Settings of the pipeline, times in integer nanoseconds.

    hop_ns: time between inferences.
    audio_timeout_ns: with no audio for this long the IMU alone drives the inferences.
    imu_timeout_ns: an IMU that is silent for this long counts as absent.
    longest_fill_ns: lost audio up to this is replaced with silence; after more the window is
    emptied, because a word with a hole in it is another word.
    clock_jump_ns: a step of a sensor's stamps beyond this is a jump of its clock.
    largest_skew_ns: IMU stamps that are further from the audio's than this are taken to be of
    another clock, and the IMU's newest sample to be simultaneous with the newest audio.
    """

    hop_ns: int = 40_000_000
    audio_timeout_ns: int = 300_000_000
    imu_timeout_ns: int = 300_000_000
    longest_fill_ns: int = 200_000_000
    clock_jump_ns: int = 500_000_000
    largest_skew_ns: int = 250_000_000

    def __post_init__(self) -> None:
        """Refuse times that are not positive."""
        for entry in fields(self):
            if getattr(self, entry.name) <= 0:
                raise KwsImuError(f'Pipeline setting {entry.name} must be above zero.')


@dataclass(frozen=True)
class Step:
    """
    One hop.

    stamp_ns: time just after the newest audio (or of the newest IMU sample, without audio).
    voice, gesture, intent: smoothed posteriors, float32, in the order of the manifest's labels.
    level_dbfs: loudness of this hop's audio, -96 (silence) to 0.
    decision: what the policy decided on this hop, if anything.
    audio_present, imu_present: whether that sense took part.
    """

    stamp_ns: int
    voice: np.ndarray
    gesture: np.ndarray
    intent: np.ndarray
    level_dbfs: float
    decision: Decision | None
    audio_present: bool
    imu_present: bool


@dataclass(frozen=True)
class PipelineHealth:
    """
    What the pipeline has seen since it was made.

    hops: inferences. audio_blocks: blocks accepted. audio_gaps: holes in the audio;
    audio_filled_samples: samples of silence put in their place. audio_duplicates: blocks that were
    there already or came late, dropped. audio_restarts: the sender began anew.
    audio_clock_jumps: jumps of the stamps, either way. audio_present, imu_present: as of the last
    hop or tick. imu_skew_ns: IMU stamps ahead of the audio's, 0 when they agree within
    `PipelineConfig.largest_skew_ns`. imu: the window's own account.
    """

    hops: int = 0
    audio_blocks: int = 0
    audio_gaps: int = 0
    audio_filled_samples: int = 0
    audio_duplicates: int = 0
    audio_restarts: int = 0
    audio_clock_jumps: int = 0
    audio_present: bool = False
    imu_present: bool = False
    imu_skew_ns: int = 0
    imu: ImuHealth = field(default_factory=ImuHealth)

    def since(self, earlier: PipelineHealth) -> PipelineHealth:
        """Return the counts since an earlier report, and the state as of this one."""
        counts = {name: getattr(self, name) - getattr(earlier, name) for name in _COUNTS}
        return replace(self, **counts, imu=self.imu.since(earlier.imu))

    def sentences(
        self, audio_explained: bool = False, imu_explained: bool = False
    ) -> tuple[str, ...]:
        """
        Return one plain sentence a problem, most serious first; empty when all is well.

        Args:
            audio_explained, imu_explained: whether the caller tells already why nothing comes.

        """
        found = []
        if audio_explained:
            pass
        elif self.audio_blocks == 0:
            found.append('No audio has arrived: check that the microphone node runs.')
        elif not self.audio_present:
            found.append('The audio has stopped: check the microphone; gestures still work.')
        imu_stopped = self.imu.received and not self.imu_present and not self.imu.in_g
        if imu_stopped and not imu_explained:
            found.append('The IMU has stopped: check it and its cable; voice still works.')
        if self.imu_skew_ns:
            found.append(
                f'The IMU clock differs from the audio clock by {self.imu_skew_ns / 1e9:.2f} s: '
                'synchronize the clocks; until then the order of arrival is used.'
            )
        if self.audio_clock_jumps:
            found.append(
                f'The audio clock jumped {self.audio_clock_jumps} times: check time '
                'synchronization.'
            )
        if self.audio_gaps:
            found.append(
                f'The audio had {self.audio_gaps} gaps: the machine or the network is too slow.'
            )
        if self.audio_duplicates:
            found.append(
                f'{self.audio_duplicates} audio blocks came twice or late and were dropped: check '
                'that only one microphone publishes.'
            )
        # A robot without a wrist sensor is a robot of its kind, not a broken one.
        without_imu = self.imu.received == 0 and (self.audio_blocks > 0 or imu_explained)
        return tuple(found) if without_imu else (*found, *self.imu.sentences())


class FusionPipeline:
    """Hear, see and decide; see the module's description."""

    def __init__(
        self, interpreter: Interpreter, policy: Policy, config: PipelineConfig | None = None
    ) -> None:
        """
        Start with silence and no IMU.

        Raises:
            KwsImuError: the hop is not a whole number of samples, or settings make no sense.

        """
        self.config = config or PipelineConfig()
        self._interpreter = interpreter
        manifest = interpreter.manifest
        self._labels = manifest.labels
        self._rate = manifest.front_end.sample_rate
        self._hop_samples, rest = divmod(self.config.hop_ns * self._rate, SECOND_NS)
        if rest or self._hop_samples < 1:
            raise KwsImuError(
                f'A hop of {self.config.hop_ns / 1e6:g} ms is not a whole number of samples at '
                f'{self._rate} Hz; choose a multiple of 1 ms.'
            )
        self._stream = LogMelStream(manifest.front_end)
        self._imu = ImuWindow(manifest.imu.rate_hz, manifest.imu.length, self.config.imu_timeout_ns)
        self.set_policy(policy)
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self._imu.reset()
        self._sequence: int | None = None
        self._audio_end_ns: int | None = None
        self._dropped_ns = 0
        # How far each sense had come when the other one last spoke: this tells a sense that
        # stopped from one whose clock differs.
        self._imu_newest_ns: int | None = None
        self._audio_end_at_imu_ns: int | None = None
        self._imu_at_audio_ns: int | None = None
        self._imu_hop_ns: int | None = None
        self._skewed_hops = 0
        self._imu_skew_ns = 0
        self._audio_present = self._imu_present = False
        # When, by tick(), each sense was last known to speak.
        self._audio_spoke = self._imu_spoke = False
        self._audio_spoke_ns: int | None = None
        self._imu_spoke_ns: int | None = None
        self._counts = dict.fromkeys(_COUNTS, 0)
        self.policy.reset()
        self._smoothers[1].reset()
        self._restart_audio()

    def set_policy(self, policy: Policy) -> None:
        """Take another policy, live: the sound and the motion heard and seen so far stay."""
        self.policy = policy
        self._smoothers = make_smoothers(policy.table, self._labels)

    @property
    def labels(self) -> Mapping[str, Sequence[str]]:
        """Return the label names of the heads 'voice', 'gesture' and 'intent'."""
        return self._labels

    @property
    def health(self) -> PipelineHealth:
        """Return what was seen so far."""
        return PipelineHealth(
            **self._counts,
            audio_present=self._audio_present,
            imu_present=self._imu_present,
            imu_skew_ns=self._imu_skew_ns,
            imu=self._imu.health,
        )

    def push_audio(self, block: AudioBlock) -> list[Step]:
        """
        Take a block of audio; return the hops that it completes.

        Raises:
            KwsImuError: the block has another sample rate than the model, or is not mono int16.
                The pipeline goes on as if it had not come.

        """
        if block.sample_rate != self._rate:
            raise KwsImuError(
                f'Audio comes at {block.sample_rate} Hz but the model needs {self._rate} Hz; set '
                'the sample rate of the microphone to that.'
            )
        if block.samples.dtype != np.int16 or block.samples.ndim != 1:
            raise KwsImuError(
                f'Audio comes as {block.samples.dtype} of shape {block.samples.shape} but the '
                'model needs mono int16.'
            )
        steps: list[Step] = []
        if not self._admit(block, steps):
            return steps
        self._counts['audio_blocks'] += 1
        self._dropped_ns = 0
        self._sequence = block.sequence
        if self._audio_end_at_imu_ns is None:
            self._audio_end_at_imu_ns = block.stamp_ns
        self._imu_at_audio_ns = self._imu_newest_ns
        self._imu_hop_ns = None
        self._audio_spoke = True
        self._feed(block.samples, block.stamp_ns, steps)
        self._audio_end_ns = block.end_ns
        return steps

    def push_imu(self, sample: ImuSample) -> list[Step]:
        """Take an IMU sample; return the hops that it drives, which is none while audio comes."""
        self._imu.push(sample)
        newest_ns = self._imu.newest_ns
        if newest_ns is None or newest_ns == self._imu_newest_ns:
            return []
        if (
            self._imu_newest_ns is not None
            and abs(newest_ns - self._imu_newest_ns) > self.config.clock_jump_ns
        ):
            # Times of before mean nothing on the new clock.
            self._imu_at_audio_ns = self._imu_hop_ns = None
        self._imu_newest_ns = newest_ns
        self._audio_end_at_imu_ns = self._audio_end_ns
        self._imu_spoke = True
        if self._imu_at_audio_ns is None:
            self._imu_at_audio_ns = newest_ns
        if newest_ns - self._imu_at_audio_ns <= self.config.audio_timeout_ns:
            return []
        return self._step_on_imu(newest_ns)

    def tick(self, now_ns: int) -> list[Step]:
        """
        Take note of the time, a few times a second, so that senses that stopped are noticed.

        now_ns: the time now, of the same clock as the stamps. Returns no hops: where both senses
        are gone there is nothing to decide.
        """
        if self._audio_spoke or self._audio_spoke_ns is None or now_ns < self._audio_spoke_ns:
            self._audio_spoke_ns = now_ns
        elif now_ns - self._audio_spoke_ns > self.config.audio_timeout_ns:
            self._audio_present = False
        if self._imu_spoke or self._imu_spoke_ns is None or now_ns < self._imu_spoke_ns:
            self._imu_spoke_ns = now_ns
        elif now_ns - self._imu_spoke_ns > self.config.imu_timeout_ns:
            self._imu_present = False
        self._audio_spoke = self._imu_spoke = False
        return []

    # Audio

    def _restart_audio(self) -> None:
        """Empty the window of sound; what was heard before does not join what comes."""
        self._stream.reset()
        self._hop_parts: list[np.ndarray] = []
        self._hop_length = 0
        voice, _, intent = self._smoothers
        voice.reset()
        intent.reset()

    def _admit(self, block: AudioBlock, steps: list[Step]) -> bool:
        """Return whether a block continues the stream, after mending the stream before it."""
        if self._sequence is None:
            return True
        config, counts = self.config, self._counts
        step_ns = block.stamp_ns - self._audio_end_ns
        lost = block.sequence - self._sequence - 1
        if lost == 0:
            if abs(step_ns) > config.clock_jump_ns:
                counts['audio_clock_jumps'] += 1
                self._restart_audio()
            return True
        if lost > 0:
            counts['audio_gaps'] += 1
            if step_ns > config.longest_fill_ns:
                self._restart_audio()
            elif step_ns > 0:
                missing = np.zeros(step_ns * self._rate // SECOND_NS, np.int16)
                counts['audio_filled_samples'] += len(missing)
                self._feed(missing, self._audio_end_ns, steps)
            elif step_ns < -config.clock_jump_ns:
                counts['audio_clock_jumps'] += 1
                self._restart_audio()
            return True
        # An older number: a block that came twice or late, or a sender that began anew. The latter
        # goes on in time, or, if its clock went back too, is the only one that still speaks.
        self._dropped_ns += block.duration_ns
        if step_ns < -block.duration_ns // 2 and self._dropped_ns <= config.audio_timeout_ns:
            counts['audio_duplicates'] += 1
            return False
        counts['audio_restarts'] += 1
        self._restart_audio()
        return True

    def _feed(self, samples: np.ndarray, stamp_ns: int, steps: list[Step]) -> None:
        """Pass samples on to the front end and make a step at the end of each hop."""
        start = 0
        while start < len(samples):
            end = min(start + self._hop_samples - self._hop_length, len(samples))
            part = samples[start:end]
            self._stream.push(part)
            self._hop_parts.append(part)
            self._hop_length += end - start
            start = end
            if self._hop_length == self._hop_samples:
                steps.append(self._step_on_audio(stamp_ns + end * SECOND_NS // self._rate))
                self._hop_parts = []
                self._hop_length = 0

    # Hops

    def _step_on_audio(self, end_ns: int) -> Step:
        """Return the hop whose audio ends at `end_ns`."""
        hop = np.concatenate(self._hop_parts).astype(np.float32)
        power = float(np.dot(hop, hop)) / len(hop) / 32768.0**2
        level_dbfs = 10.0 * math.log10(power) if power > 0.0 else SILENT_DBFS
        imu = self._imu_window_at(end_ns)
        self._audio_present = True
        raw = self._interpreter.infer(self._stream.window(), imu)
        return self._step(end_ns, raw, max(level_dbfs, SILENT_DBFS))

    def _step_on_imu(self, newest_ns: int) -> list[Step]:
        """Return the hops up to the newest IMU sample, of an IMU without audio."""
        config = self.config
        if self._imu_hop_ns is None:
            self._restart_audio()
            self._imu_hop_ns = newest_ns - config.hop_ns
        elif newest_ns - self._imu_hop_ns > config.imu_timeout_ns:
            self._imu_hop_ns = newest_ns - config.hop_ns
        self._audio_present = False
        steps = []
        while self._imu_hop_ns + config.hop_ns <= newest_ns:
            self._imu_hop_ns += config.hop_ns
            imu = self._imu.window(self._imu_hop_ns)
            self._imu_present = imu is not None
            if imu is not None:
                raw = self._interpreter.infer(None, imu)
                steps.append(self._step(self._imu_hop_ns, raw, SILENT_DBFS))
        return steps

    def _imu_window_at(self, end_ns: int) -> np.ndarray | None:
        """Return the IMU window beside audio that ends at `end_ns`, None without a usable IMU."""
        if self._imu_newest_ns is None:
            return None
        skew_ns = self._imu_newest_ns - end_ns
        alive_ns = end_ns - self._audio_end_at_imu_ns
        # Half the time-out, so that an IMU that stops is not taken for one with a slow clock.
        alive = abs(alive_ns) <= self.config.imu_timeout_ns // 2
        skewed = alive and abs(skew_ns) > self.config.largest_skew_ns
        # Sound that arrives in a burst lags for a moment; another clock differs all the time.
        self._skewed_hops = self._skewed_hops + 1 if skewed else 0
        if self._skewed_hops * self.config.hop_ns < SECOND_NS:
            self._imu_skew_ns = 0
            imu = self._imu.window(end_ns)
        else:
            self._imu_skew_ns = skew_ns
            imu = self._imu.window(self._imu_newest_ns)
        self._imu_present = imu is not None
        return imu

    def _step(self, stamp_ns: int, raw: Posteriors, level_dbfs: float) -> Step:
        """Smooth and decide."""
        voice, gesture, intent = self._smoothers
        if not (self._audio_present and self._imu_present):
            # What a head says about a sense that is not there must not count.
            raw = Posteriors(
                raw.voice if self._audio_present else voice.background,
                raw.gesture if self._imu_present else gesture.background,
                raw.intent,
            )
        smoothed = Posteriors(
            voice.push(raw.voice), gesture.push(raw.gesture), intent.push(raw.intent)
        )
        self._counts['hops'] += 1
        return Step(
            stamp_ns,
            smoothed.voice,
            smoothed.gesture,
            smoothed.intent,
            level_dbfs,
            self.policy.step(stamp_ns, raw, smoothed),
            self._audio_present,
            self._imu_present,
        )
