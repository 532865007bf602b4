"""What every source of a sensor offers: a device, or a recording that is played as one."""

from __future__ import annotations

from typing import Protocol, TypeVar

Reading = TypeVar('Reading', covariant=True)


class Source(Protocol[Reading]):
    """
    A sensor that is opened, read until it is gone or has ended, and closed.

    Sources are the parts of `audio` and `imu` that touch devices, clocks and threads; each device
    has a file of its own in `sources/` there. A source is used by one thread.

    description: what is read, for people; it may tell more once the source was opened.
    """

    description: str

    @property
    def finished(self) -> bool:
        """Return whether nothing more will ever come; never true of a device."""
        ...

    def open(self) -> None:
        """
        Start, or start anew after the device was lost.

        Raises:
            KwsImuError: the device or the file cannot be used.

        """
        ...

    def read(self, timeout_s: float) -> Reading:
        """
        Return what came, after at most `timeout_s`; nothing (None or empty) where nothing came.

        Raises:
            KwsImuError: the device is gone; `open` may be tried again.

        """
        ...

    def close(self) -> None:
        """Give the device back; harmless where it is not open."""
        ...

    def counts(self) -> dict[str, int]:
        """Return what was given, lost and damaged so far, by the names that diagnostics show."""
        ...
