"""Map the clock of a device that counts its own time to the clock of the computer."""

from __future__ import annotations

from collections import deque

from kws_imu_ros.errors import KwsImuError


class DeviceClock:
    """
    Estimate when, on the computer's clock, something happened at a device's time.

    A sound card counts samples and a microcontroller counts microseconds: both are even, but say
    nothing of the time of day. The computer sees each reading late by a delay that varies with
    buffers and load. The offset between the two clocks is the `quantile` of the newest `history`
    differences: 0 where errors are only ever delays (a serial line), 0.5 where they go both ways
    (PortAudio's own estimate). It follows drift by at most `slew` of the elapsed time, so stamps
    stay even, and starts anew when the differences stay more than `step_ns` away: the device
    restarted, lost data, or the computer's clock was set.
    """

    def __init__(
        self,
        quantile: float = 0.0,
        history: int = 200,
        slew: float = 0.02,
        step_ns: int = 250_000_000,
        patience: int = 5,
    ) -> None:
        """
        Start without an estimate.

        quantile: 0 to 1; history: readings that are looked at; slew: largest change of the offset
        as a share of the time passed; step_ns and patience: how far, and for how many readings in
        a row, the clocks must disagree to start anew.

        Raises:
            KwsImuError: a value is out of range.

        """
        if not 0.0 <= quantile <= 1.0 or history < 1 or slew <= 0 or step_ns <= 0 or patience < 1:
            raise KwsImuError(
                'A device clock needs a quantile from 0 to 1 and positive history, slew, step and '
                'patience.'
            )
        self._quantile = quantile
        self._slew = slew
        self._step_ns = step_ns
        self._patience = patience
        self._differences: deque[int] = deque(maxlen=history)
        self._offset_ns: int | None = None
        self._device_ns = 0
        self._strangers = 0
        self.restarts = 0

    def restart(self) -> None:
        """Forget the estimate, for instance when the device is known to have lost data."""
        if self._offset_ns is not None:
            self.restarts += 1
        self._differences.clear()
        self._offset_ns = None
        self._strangers = 0

    def update(self, device_ns: int, computer_ns: int) -> None:
        """Learn that the computer saw `device_ns` of the device at `computer_ns` of its own."""
        difference = computer_ns - device_ns
        if self._offset_ns is not None and abs(difference - self._offset_ns) > self._step_ns:
            self._strangers += 1
            if self._strangers < self._patience:
                self._device_ns = device_ns  # No leap once they are gone.
                return
            self.restart()
        self._strangers = 0
        self._differences.append(difference)
        ordered = sorted(self._differences)
        target = ordered[round(self._quantile * (len(ordered) - 1))]
        if self._offset_ns is None:
            self._offset_ns = target
        else:
            limit = int(abs(device_ns - self._device_ns) * self._slew)
            self._offset_ns += max(-limit, min(limit, target - self._offset_ns))
        self._device_ns = device_ns

    def computer_ns(self, device_ns: int) -> int:
        """
        Return the time of `device_ns` on the computer's clock.

        Raises:
            KwsImuError: `update` was never called, or not since the last restart.

        """
        if self._offset_ns is None:
            raise KwsImuError('The clock of a device was read before the device sent anything.')
        return device_ns + self._offset_ns
