"""The clocks of the two senses beside each other."""

from __future__ import annotations

from kws_imu_ros.fusion.config import SECOND_NS, PipelineConfig


class SenseClocks:
    """
    Follow how far each sense has come, by its own stamps.

    That tells a sense that stopped from one whose clock differs, and where the IMU's window must
    end beside a hop of sound.
    """

    def __init__(self, config: PipelineConfig) -> None:
        """Start with neither sense."""
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.imu_newest_ns: int | None = None
        self.skew_ns = 0
        # How far each sense had come when the other one last spoke.
        self._audio_end_at_imu_ns: int | None = None
        self._imu_at_audio_ns: int | None = None
        self._skewed_hops = 0

    def hear(self, stamp_ns: int) -> None:
        """Take note of audio that starts at `stamp_ns`."""
        if self._audio_end_at_imu_ns is None:
            self._audio_end_at_imu_ns = stamp_ns
        self._imu_at_audio_ns = self.imu_newest_ns

    def see(self, newest_ns: int, audio_end_ns: int | None) -> bool:
        """Take note of the newest IMU sample; return whether its clock jumped."""
        jumped = (
            self.imu_newest_ns is not None
            and abs(newest_ns - self.imu_newest_ns) > self._config.clock_jump_ns
        )
        self.imu_newest_ns = newest_ns
        self._audio_end_at_imu_ns = audio_end_ns
        if jumped or self._imu_at_audio_ns is None:
            # Times of before mean nothing on the new clock.
            self._imu_at_audio_ns = newest_ns
        return jumped

    @property
    def audio_is_late(self) -> bool:
        """Return whether the IMU has gone on for so long that audio no longer comes."""
        return (
            self.imu_newest_ns is not None
            and self._imu_at_audio_ns is not None
            and self.imu_newest_ns - self._imu_at_audio_ns > self._config.audio_timeout_ns
        )

    def imu_end_ns(self, audio_end_ns: int) -> int | None:
        """Return where the IMU's window beside a hop of sound must end, None without an IMU."""
        newest_ns, config = self.imu_newest_ns, self._config
        if newest_ns is None:
            return None
        skew_ns = newest_ns - audio_end_ns
        # Half the time-out, so that an IMU that stops is not taken for one with a slow clock.
        alive = (
            self._audio_end_at_imu_ns is not None
            and abs(audio_end_ns - self._audio_end_at_imu_ns) <= config.imu_timeout_ns // 2
        )
        skewed = alive and abs(skew_ns) > config.largest_skew_ns
        # Sound that arrives in a burst lags for a moment; another clock differs all the time.
        self._skewed_hops = self._skewed_hops + 1 if skewed else 0
        if self._skewed_hops * config.hop_ns < SECOND_NS:
            self.skew_ns = 0
            return audio_end_ns
        self.skew_ns = skew_ns
        return newest_ns
