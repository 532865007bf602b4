"""The sound as it comes over the line: repaired, judged and cut to hops."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.audio.frontend import FrontEndParameters, LogMelStream
from kws_imu_ros.audio.liveness import SoundLiveness, SoundSign
from kws_imu_ros.audio.offset import Offset
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.fusion.config import SECOND_NS, PipelineConfig
from kws_imu_ros.fusion.senders import AudioSenders
from kws_imu_ros.sensing.turns import Turns

SILENT_DBFS = -96.0


@dataclass(frozen=True)
class AudioHop:
    """
    The sound of one hop.

    end_ns: time just after its last sample. level_dbfs: its loudness, -96 (silence) to 0.
    log_mel: the network's window that ends there, float32 (frames, mel_bins).
    """

    end_ns: int
    level_dbfs: float
    log_mel: np.ndarray


@dataclass(frozen=True)
class AudioPush:
    """
    What a block brought.

    accepted: it continues the stream, or one that waited for it does. restarted: the window was
    emptied before it. lives: it is a sign of life of the microphone. hops: those that it completes.
    """

    accepted: bool
    restarted: bool
    lives: bool
    hops: tuple[AudioHop, ...] = ()


@dataclass
class AudioCounts:
    """Counts of `PipelineHealth`."""

    blocks: int = 0
    gaps: int = 0
    filled_samples: int = 0
    duplicates: int = 0
    restarts: int = 0
    clock_jumps: int = 0


class AudioStream:
    """Fill short holes, drop what comes twice, start anew after long holes, and cut to hops."""

    def __init__(self, front_end: FrontEndParameters, config: PipelineConfig) -> None:
        """
        Start with silence.

        Raises:
            KwsImuError: the hop is not a whole number of samples.

        """
        self._config = config
        self._rate = front_end.sample_rate
        self._hop_samples = config.hop_samples(self._rate)
        self._log_mel = LogMelStream(front_end)
        self._offset = Offset()
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self.counts = AudioCounts()
        self.end_ns: int | None = None
        self._sequence: int | None = None
        self._dropped_ns = 0
        self._senders = AudioSenders()
        self._turns = Turns()
        self._liveness = SoundLiveness()
        self._repeated_ns = self._constant_ns = 0
        self.empty()

    def empty(self) -> None:
        """Empty the window of sound; what was heard before does not join what comes."""
        self._log_mel.reset()
        self._offset.reset()
        self._parts: list[np.ndarray] = []
        self._length = 0
        self._is_empty = True
        # Its stamp is far off; the block after it tells whether the clock was set.
        self._waiting: AudioBlock | None = None

    @property
    def mixed(self) -> bool:
        """Return whether more than one microphone sends."""
        return self._senders.mixed or self._turns.mixed

    @property
    def stuck(self) -> bool:
        """Return whether the microphone repeats itself."""
        return self._repeated_ns >= self._config.stuck_ns

    @property
    def muted(self) -> bool:
        """Return whether digital silence has lasted for long enough to be told."""
        return self._constant_ns >= self._config.muted_told_ns

    def push(self, block: AudioBlock, sender: Hashable = None) -> AudioPush:
        """
        Take a block; sender: who sent it, where that is known.

        Raises:
            KwsImuError: the block has another sample rate than the model, or is not mono int16.
                The stream goes on as if it had not come.

        """
        self._check(block)
        if sender is not None:
            self._turns.push(sender)
        self._senders.push(block)
        if self.mixed:
            # Whatever is put together of two rooms is the sound of neither.
            self._sequence = self._waiting = None
            return AudioPush(accepted=False, restarted=False, lives=False)
        hops: list[AudioHop] = []
        pushes = []
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            pushes.append(self._take(self._judged(waiting, block), hops))
        if self._is_far_off(block):
            self._waiting = block
        else:
            pushes.append(self._take(block, hops))
        return AudioPush(
            any(push.accepted for push in pushes),
            any(push.restarted for push in pushes),
            any(push.lives for push in pushes),
            tuple(hops),
        )

    def _is_far_off(self, block: AudioBlock) -> bool:
        """Return whether a block's stamp leaps though its number says that nothing is missing."""
        if self._sequence is None or self.end_ns is None or block.sequence != self._sequence + 1:
            return False
        # What follows a pause has nothing to be far from.
        return not self._is_empty and abs(block.stamp_ns - self.end_ns) > self._config.clock_jump_ns

    def _judged(self, waiting: AudioBlock, following: AudioBlock) -> AudioBlock:
        """Return a block that waited, on the clock that goes on: a stray stamp is put right."""
        if self._sequence is None or self.end_ns is None:
            return waiting
        # A clock that was set goes on with the block after; two stray stamps agree with nobody.
        lost_ns = max(0, following.sequence - waiting.sequence - 1) * waiting.duration_ns
        anew_ns = abs(following.stamp_ns - waiting.end_ns - lost_ns)
        before_ns = abs(following.stamp_ns - self.end_ns - waiting.duration_ns - lost_ns)
        if anew_ns < before_ns and anew_ns <= self._config.clock_jump_ns:
            return waiting
        self.counts.clock_jumps += 1
        return replace(waiting, stamp_ns=self.end_ns)

    def _take(self, block: AudioBlock, hops: list[AudioHop]) -> AudioPush:
        """Take a block on its final time, and append the hops that it completes."""
        accepted, restarted = self._admit(block, hops)
        if not accepted:
            return AudioPush(accepted=False, restarted=False, lives=False)
        self.counts.blocks += 1
        self._dropped_ns = 0
        self._sequence = block.sequence
        lives = self._lives(block)
        self._feed(block.samples, block.stamp_ns, hops)
        self.end_ns = block.end_ns
        return AudioPush(True, restarted, lives)

    def _check(self, block: AudioBlock) -> None:
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

    def _admit(self, block: AudioBlock, hops: list[AudioHop]) -> tuple[bool, bool]:
        """Return whether a block continues the stream, mended before it, and whether it is new."""
        if self._sequence is None or self.end_ns is None:
            anew = self.end_ns is not None
            if anew:
                self.empty()
            return True, anew
        config, counts = self._config, self.counts
        step_ns = block.stamp_ns - self.end_ns
        lost = block.sequence - self._sequence - 1
        if lost >= 0:
            counts.gaps += lost > 0
            if lost and 0 < step_ns <= config.longest_fill_ns:
                missing = np.zeros(step_ns * self._rate // SECOND_NS, np.int16)
                counts.filled_samples += len(missing)
                self._feed(missing, self.end_ns, hops)
                return True, False
            too_long = lost > 0 and step_ns > 0
            jumped = not too_long and abs(step_ns) > config.clock_jump_ns
            counts.clock_jumps += jumped
            if too_long or jumped:
                self.empty()
            return True, too_long or jumped
        # An older number: a block that came twice or late, or a sender that began anew. The latter
        # goes on in time, or, if its clock went back too, is the only one that still speaks.
        self._dropped_ns += block.duration_ns
        if step_ns < -block.duration_ns // 2 and self._dropped_ns <= config.audio_timeout_ns:
            counts.duplicates += 1
            return False, False
        counts.restarts += 1
        self.empty()
        return True, True

    def _lives(self, block: AudioBlock) -> bool:
        """Return whether a block is a sign of life."""
        sign = self._liveness.push(block.samples)
        is_repeated, is_constant = sign is SoundSign.REPEATED, sign is SoundSign.CONSTANT
        self._repeated_ns = self._repeated_ns + block.duration_ns if is_repeated else 0
        self._constant_ns = self._constant_ns + block.duration_ns if is_constant else 0
        return not is_repeated and self._constant_ns < self._config.muted_lost_ns

    def _feed(self, samples: np.ndarray, stamp_ns: int, hops: list[AudioHop]) -> None:
        """Pass samples on to the front end and make a hop at the end of each."""
        start = 0
        self._is_empty = False
        while start < len(samples):
            end = min(start + self._hop_samples - self._length, len(samples))
            part = samples[start:end]
            for piece, has_offset in self._offset.pieces(part):
                self._log_mel.push(piece, centred=has_offset)
            self._parts.append(part)
            self._length += end - start
            start = end
            if self._length == self._hop_samples:
                end_ns = stamp_ns + end * SECOND_NS // self._rate
                hops.append(AudioHop(end_ns, _level(self._parts), self._log_mel.window()))
                self._parts = []
                self._length = 0


def _level(parts: list[np.ndarray]) -> float:
    """Return the loudness of pieces of sound in dB of full scale."""
    hop = np.concatenate(parts).astype(np.float32)
    power = float(np.dot(hop, hop)) / len(hop) / 32768.0**2
    return max(10.0 * math.log10(power) if power > 0.0 else SILENT_DBFS, SILENT_DBFS)
