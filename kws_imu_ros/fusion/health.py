"""What the pipeline has seen, in numbers and in sentences for people."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from kws_imu_ros.imu.window import ImuHealth


@dataclass(frozen=True)
class PipelineHealth:
    """
    What the pipeline has seen since it was made.

    hops: inferences. audio_blocks: blocks accepted. audio_gaps: holes in the audio;
    audio_filled_samples: samples of silence put in their place. audio_duplicates: blocks that were
    there already or came late, dropped. audio_restarts: the sender began anew.
    audio_clock_jumps: jumps of the stamps, either way. audio_present, imu_present: as of the last
    hop or tick. audio_stuck: the microphone repeats the same sound to the last bit. audio_muted:
    it gives digital silence. audio_mixed: more than one sends. imu_skew_ns: IMU stamps ahead of
    the audio's, 0 when they agree within `PipelineConfig.largest_skew_ns`. imu: its own account.
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
    audio_stuck: bool = False
    audio_muted: bool = False
    audio_mixed: bool = False
    imu_skew_ns: int = 0
    imu: ImuHealth = field(default_factory=ImuHealth)

    def since(self, earlier: PipelineHealth) -> PipelineHealth:
        """Return the counts since an earlier report, and the state as of this one."""
        return replace(
            self,
            hops=self.hops - earlier.hops,
            audio_blocks=self.audio_blocks - earlier.audio_blocks,
            audio_gaps=self.audio_gaps - earlier.audio_gaps,
            audio_filled_samples=self.audio_filled_samples - earlier.audio_filled_samples,
            audio_duplicates=self.audio_duplicates - earlier.audio_duplicates,
            audio_restarts=self.audio_restarts - earlier.audio_restarts,
            audio_clock_jumps=self.audio_clock_jumps - earlier.audio_clock_jumps,
            imu=self.imu.since(earlier.imu),
        )

    def sentences(
        self, audio_explained: bool = False, imu_explained: bool = False, audio_left_out: int = 0
    ) -> tuple[str, ...]:
        """
        Return one plain sentence a problem, most serious first; empty when all is well.

        Args:
            audio_explained, imu_explained: whether the caller tells already why nothing comes.
            audio_left_out: messages that could not be used, of which the caller tells; each leaves
                a gap at most.

        """
        found = [] if audio_explained else self._audio_sentences()
        imu_stopped = self.imu.received and not self.imu_present and self.imu.usable
        if imu_stopped and not imu_explained:
            found.append('The IMU has stopped: check it and its cable; voice still works.')
        found += self._stream_sentences(audio_left_out)
        # A robot without a wrist sensor is a robot of its kind, not a broken one.
        without_imu = self.imu.received == 0 and (self.audio_blocks > 0 or imu_explained)
        return tuple(found) if without_imu else (*found, *self.imu.sentences())

    def _audio_sentences(self) -> list[str]:
        """Return why nothing is heard."""
        found: list[str] = []
        if self.audio_mixed:
            found.append(
                'More than one microphone sends on audio, so no word is understood: stop the other '
                'one, or give each robot a ROS_DOMAIN_ID or a namespace of its own.'
            )
        elif self.audio_stuck:
            found.append(
                'The audio is stuck: the microphone repeats the same sound to the last bit, so no '
                'word is understood; start its node again or plug it in anew.'
            )
        elif self.audio_blocks == 0:
            found.append('No audio has arrived: check that the microphone node runs.')
        elif not self.audio_present:
            found.append('The audio has stopped: check the microphone; gestures still work.')
        elif self.audio_muted:
            found.append(
                'The audio is digital silence: the microphone is muted, or a noise gate cuts '
                'everything off; switch it on.'
            )
        return found

    def _stream_sentences(self, audio_left_out: int) -> list[str]:
        """Return what is wrong with the order and the times of what comes."""
        found = []
        if self.imu_skew_ns and not self.imu.mixed:
            found.append(
                f'The IMU clock differs from the audio clock by {self.imu_skew_ns / 1e9:.2f} s: '
                'synchronize the clocks; until then the order of arrival is used.'
            )
        if self.audio_mixed:
            return found  # What follows would blame clocks and network.
        if self.audio_clock_jumps:
            found.append(
                f'The audio clock jumped {self.audio_clock_jumps} times: check time '
                'synchronization.'
            )
        lost = self.audio_gaps - audio_left_out
        if lost > 0:
            found.append(
                f'The audio had {lost} gap{"s" if lost > 1 else ""}: the machine or the network is '
                'too slow.'
            )
        if self.audio_duplicates:
            found.append(
                f'{self.audio_duplicates} audio blocks came twice or late and were dropped: check '
                'that only one microphone publishes.'
            )
        return found
