"""Settings of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, fields

from kws_imu_ros.errors import KwsImuError

SECOND_NS = 1_000_000_000


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
    stuck_ns: a microphone that has repeated itself for this long counts as absent.
    muted_told_ns, muted_lost_ns: digital silence of this length is told, and counts as a lost
    sense; a noise gate makes it too, between words.
    """

    hop_ns: int = 40_000_000
    audio_timeout_ns: int = 300_000_000
    imu_timeout_ns: int = 300_000_000
    longest_fill_ns: int = 200_000_000
    clock_jump_ns: int = 500_000_000
    largest_skew_ns: int = 250_000_000
    stuck_ns: int = 100_000_000
    muted_told_ns: int = 2_000_000_000
    muted_lost_ns: int = 5_000_000_000

    def __post_init__(self) -> None:
        """Refuse times that are not positive."""
        for entry in fields(self):
            if getattr(self, entry.name) <= 0:
                raise KwsImuError(f'Pipeline setting {entry.name} must be above zero.')

    def hop_samples(self, rate: int) -> int:
        """
        Return the samples of a hop.

        Raises:
            KwsImuError: the hop is not a whole number of samples.

        """
        samples, rest = divmod(self.hop_ns * rate, SECOND_NS)
        if rest or samples < 1:
            raise KwsImuError(
                f'A hop of {self.hop_ns / 1e6:g} ms is not a whole number of samples at '
                f'{rate} Hz; choose a multiple of 1 ms.'
            )
        return samples
