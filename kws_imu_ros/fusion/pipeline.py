"""
The fusion pipeline: audio blocks and IMU samples in, posteriors and decisions out.

The live node and offline replay call this same object, so what a test proves on a bag is what the
robot does. It reads no clock: time is what the stamps of its inputs say, and the same inputs in
the same order give the same output to the byte.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.fusion.audio_stream import SILENT_DBFS, AudioHop, AudioStream
from kws_imu_ros.fusion.clock_skew import SenseClocks
from kws_imu_ros.fusion.config import PipelineConfig
from kws_imu_ros.fusion.health import PipelineHealth
from kws_imu_ros.fusion.hops import Decider, ImuHops, Step
from kws_imu_ros.fusion.presence import Modality, SignsOfLife, Silence
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.stream import ImuStream
from kws_imu_ros.model.interpreter import Interpreter

__all__ = ['FusionPipeline', 'Modality', 'PipelineConfig', 'PipelineHealth', 'SignsOfLife', 'Step']


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
        manifest = interpreter.manifest
        self._labels = manifest.labels
        self._audio = AudioStream(manifest.front_end, self.config)
        self._imu = ImuStream(manifest.imu.rate_hz, manifest.imu.length, self.config.imu_timeout_ns)
        self._clocks = SenseClocks(self.config)
        self._imu_hops = ImuHops(self.config)
        self._decider = Decider(interpreter, policy, manifest.labels)
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self._audio.reset()
        self._imu.reset()
        self._clocks.reset()
        self._imu_hops.stop()
        self._decider.reset()
        self._audio_present = self._imu_present = False
        self._audio_silence = Silence(self.config.audio_timeout_ns)
        self._imu_silence = Silence(self.config.imu_timeout_ns)
        self._signs = SignsOfLife()

    def set_policy(self, policy: Policy) -> None:
        """Take another policy, live: the sound and the motion heard and seen so far stay."""
        self._decider.set_policy(policy)

    @property
    def policy(self) -> Policy:
        """Return the policy that decides."""
        return self._decider.policy

    @property
    def labels(self) -> Mapping[str, Sequence[str]]:
        """Return the label names of the heads 'voice', 'gesture' and 'intent'."""
        return self._labels

    @property
    def signs_of_life(self) -> SignsOfLife:
        """Return how many messages were signs of life so far."""
        return self._signs

    @property
    def health(self) -> PipelineHealth:
        """Return what was seen so far."""
        audio, counts = self._audio, self._audio.counts
        return PipelineHealth(
            hops=self._decider.hops,
            audio_blocks=counts.blocks,
            audio_gaps=counts.gaps,
            audio_filled_samples=counts.filled_samples,
            audio_duplicates=counts.duplicates,
            audio_restarts=counts.restarts,
            audio_clock_jumps=counts.clock_jumps,
            audio_present=self._audio_present,
            imu_present=self._imu_present,
            audio_stuck=audio.stuck,
            audio_muted=audio.muted,
            audio_mixed=audio.mixed,
            imu_skew_ns=self._clocks.skew_ns,
            imu=self._imu.health,
        )

    def push_audio(self, block: AudioBlock, sender: Hashable = None) -> list[Step]:
        """
        Take a block of audio; return the hops that it completes.

        sender: who sent it, where that is known.

        Raises:
            KwsImuError: the block has another sample rate than the model, or is not mono int16.
                The pipeline goes on as if it had not come.

        """
        push = self._audio.push(block, sender)
        if not push.accepted:
            return []
        if push.restarted:
            self._decider.forget_sound()
        self._clocks.hear(block.stamp_ns)
        self._imu_hops.stop()
        self._audio_silence.speak()
        if push.lives:
            self._signs = SignsOfLife(self._signs.audio + 1, self._signs.imu)
        return [self._step_on_audio(hop) for hop in push.hops]

    def push_imu(
        self, sample: ImuSample, arrived_ns: int | None = None, sender: Hashable = None
    ) -> list[Step]:
        """
        Take an IMU sample; return the hops that it drives, which is none while audio comes.

        arrived_ns: when it came, on the clock of the audio's stamps, for drivers that do not
        stamp; None where nobody knows. sender: who sent it, where that is known.
        """
        if self._imu.push(sample, arrived_ns, sender):
            self._signs = SignsOfLife(self._signs.audio, self._signs.imu + 1)
        newest_ns = self._imu.newest_ns
        if newest_ns is None or newest_ns == self._clocks.imu_newest_ns:
            return []
        if self._clocks.see(newest_ns, self._audio.end_ns):
            self._imu_hops.stop()
        self._imu_silence.speak()
        return self._steps_on_imu(newest_ns) if self._clocks.audio_is_late else []

    def tick(self, now_ns: int) -> list[Step]:
        """
        Take note of the time, a few times a second, so that senses that stopped are noticed.

        now_ns: the time now, of the same clock as the stamps. Returns no hops: where both senses
        are gone there is nothing to decide.
        """
        if self._audio_silence.lasts(now_ns):
            self._audio_present = False
        if self._imu_silence.lasts(now_ns):
            self._imu_present = False
        return []

    def _step_on_audio(self, hop: AudioHop) -> Step:
        """Return the hop of a stretch of sound, with what was seen meanwhile."""
        imu_end_ns = self._clocks.imu_end_ns(hop.end_ns)
        imu = None if imu_end_ns is None else self._imu.window(imu_end_ns)
        if imu_end_ns is not None:
            self._imu_present = imu is not None
        self._audio_present = not self._audio.stuck
        return self._decider.step(hop.end_ns, hop.log_mel, imu, hop.level_dbfs, self._audio_present)

    def _steps_on_imu(self, newest_ns: int) -> list[Step]:
        """Return the hops up to the newest IMU sample, of an IMU without audio."""
        if not self._imu_hops.run:
            self._audio.empty()
            self._decider.forget_sound()
        self._audio_present = False
        steps = []
        for hop_ns in self._imu_hops.up_to(newest_ns):
            imu = self._imu.window(hop_ns)
            self._imu_present = imu is not None
            if imu is not None:
                steps.append(self._decider.step(hop_ns, None, imu, SILENT_DBFS, False))
        return steps
