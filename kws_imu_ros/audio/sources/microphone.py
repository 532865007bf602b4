"""Listen to a microphone through PortAudio."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from kws_imu_ros.audio.block import SAMPLE_RATE, AudioBlock, block_samples
from kws_imu_ros.audio.resampling import Resampler
from kws_imu_ros.audio.ring import SampleRing
from kws_imu_ros.audio.sources.health import AudioSourceHealth
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.sensing.device_clock import DeviceClock

SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class _Chunk:
    """What PortAudio's callback hands over."""

    data: bytes
    frames: int
    steady_ns: int
    latency_s: float
    lost_before: bool


class MicrophoneSource:
    """
    Listen to a microphone through PortAudio.

    The device delivers 16 kHz mono int16 itself where it can; otherwise its own rate and channels
    are taken, averaged and resampled. Stamps are those of the first sample, in ROS time: the
    count of samples, placed by PortAudio's capture times (see DeviceClock).

    device: what the next `open` looks for.
    """

    # PulseAudio may take more than a second to deliver its first block.
    STALL_S = 4.0
    QUEUE_S = 2.0

    def __init__(
        self,
        clock: Callable[[], int],
        device: str = '',
        block_ms: int = 20,
        capture_rate: int = 0,
        capture_channels: int = 0,
    ) -> None:
        """
        Remember what to open.

        clock: returns ROS time in ns.
        device: index, name, or a part of a name that only one device has; '' for the default.
        capture_rate, capture_channels: force the device's format (Hz, count); 0 chooses.

        Raises:
            KwsImuError: block_ms, rate or channels is out of range.

        """
        self._block_samples = block_samples(block_ms)
        if capture_rate != 0 and not 4000 <= capture_rate <= 384000:
            raise KwsImuError(
                f'capture_rate is {capture_rate} but must be 0 (choose) or 4000 to 384000 Hz.'
            )
        if not 0 <= capture_channels <= 64:
            raise KwsImuError(
                f'capture_channels is {capture_channels} but must be 0 (choose) or 1 to 64.'
            )
        self._clock = clock
        self.device = device
        self._block_ms = block_ms
        self._rate = capture_rate
        self._channels = capture_channels
        self._sequence = 0
        self._expected_ns: int | None = None
        self._broken = False
        self._stream: Any = None
        self._resampler: Resampler | None = None
        self._health = AudioSourceHealth()
        self._device_clock = self._new_device_clock()
        self.description = f'microphone {device or "(default)"}'

    @staticmethod
    def _new_device_clock() -> DeviceClock:
        """Return a clock for a sound card: PortAudio's capture times err both ways."""
        return DeviceClock(quantile=0.5, history=100, patience=25)

    @property
    def finished(self) -> bool:
        """Return False: a microphone has no end."""
        return False

    @property
    def health(self) -> AudioSourceHealth:
        """Return the counts so far."""
        return replace(self._health, clock_restarts=self._device_clock.restarts)

    def counts(self) -> dict[str, int]:
        """Return the counts so far, by the names that diagnostics show."""
        return self.health.counts()

    @property
    def inverted(self) -> bool:
        """Return whether the channels cancel each other out, so that the loudest is taken."""
        return self._resampler is not None and self._resampler.inverted

    def open(self) -> None:
        """
        Open the device and start listening.

        Devices are looked for anew, so other PortAudio streams of the process end.

        Raises:
            KwsImuError: PortAudio or the device is missing, or the device refuses.

        """
        sounddevice = _import_sounddevice(rescan=True)
        devices = [dict(device) for device in sounddevice.query_devices()]
        default = _default_input(sounddevice)
        index = choose_device(self.device, devices, default)
        rate, channels = self._choose_format(sounddevice, index, devices[index])
        self._capture_rate, self._capture_channels = rate, channels
        self._resampler = Resampler(rate, channels)
        self._ring = SampleRing(SAMPLE_RATE * 4)
        self._frames_seen = 0
        block_s = self._block_ms / 1000
        self._queue: queue.Queue[_Chunk | None] = queue.Queue(int(self.QUEUE_S / block_s))
        self._dropping = False
        self._device_clock.restart()
        self._heard_ns = time.monotonic_ns()
        try:
            self._stream = sounddevice.RawInputStream(
                device=index,
                samplerate=rate,
                channels=channels,
                dtype='int16',
                blocksize=rate * self._block_ms // 1000,
                callback=self._on_audio,
                finished_callback=self._on_finished,
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            self.close()
            raise KwsImuError(
                f'Microphone {devices[index]["name"]!r} cannot be opened ({_reason(error)}); '
                'close other programs that use it, or choose another device.'
            ) from error
        self._latency_s = float(self._stream.latency)
        self.description = (
            f'microphone {devices[index]["name"]} at {rate} Hz, {channels} channel(s)'
        )
        self._broken = self._health.openings > 0
        self._health = replace(self._health, openings=self._health.openings + 1)

    def read(self, timeout_s: float) -> AudioBlock | None:
        """
        Return the next block, or None when none came within `timeout_s`.

        Raises:
            KwsImuError: the microphone is gone; `open` may be tried again.

        """
        if self._stream is None:
            raise KwsImuError('The microphone was read before it was opened.')
        deadline_ns = time.monotonic_ns() + int(timeout_s * SECOND_NS)
        while True:
            samples = self._ring.pop(self._block_samples)
            if samples is not None:
                return self._block(samples)
            wait_s = (deadline_ns - time.monotonic_ns()) / SECOND_NS
            try:
                chunk = self._queue.get(timeout=max(wait_s, 0.0))
            except queue.Empty:
                silent_s = (time.monotonic_ns() - self._heard_ns) / SECOND_NS
                if silent_s < self.STALL_S:
                    return None
                chunk = None
            if chunk is None:
                self.close()
                raise KwsImuError(
                    f'The {self.description} stopped delivering audio; plug it in again or check '
                    'the sound server.'
                )
            self._take(chunk)

    def close(self) -> None:
        """Stop listening and give the device back; harmless when it is not open."""
        stream, self._stream = self._stream, None
        if stream is not None:
            # A device that is gone cannot be stopped, only closed.
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)

    def _on_audio(self, data: Any, frames: int, times: Any, status: Any) -> None:
        """Take audio on PortAudio's thread, and be quick about it."""
        chunk = _Chunk(
            data=bytes(data),
            frames=frames,
            steady_ns=time.monotonic_ns(),
            latency_s=times.currentTime - times.inputBufferAdcTime,
            lost_before=bool(status.input_overflow) or self._dropping,
        )
        try:
            self._queue.put_nowait(chunk)
            self._dropping = False
        except queue.Full:
            self._dropping = True

    def _on_finished(self) -> None:
        """Note on PortAudio's thread that the stream ended by itself."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            pass  # The reader is far behind, and will find that nothing more comes.

    def _take(self, chunk: _Chunk) -> None:
        """Place a chunk in time and put its samples into the ring."""
        self._heard_ns = time.monotonic_ns()
        if chunk.lost_before:
            self._broken = True
            self._health = replace(self._health, overruns=self._health.overruns + 1)
            self._device_clock.restart()
        # The first sample is at least a block old, and PortAudio's figure is not to be trusted
        # beyond the latency that the stream has: PulseAudio says 0.7 s while it starts.
        length_s = chunk.frames / self._capture_rate
        latency_s = min(max(chunk.latency_s, length_s), length_s + self._latency_s)
        offset_ns = self._clock() - time.monotonic_ns()
        self._device_clock.update(
            self._frames_seen * SECOND_NS // self._capture_rate,
            chunk.steady_ns + offset_ns - int(latency_s * SECOND_NS),
        )
        self._frames_seen += chunk.frames
        if self._resampler is not None:
            self._ring.push(self._resampler.push(np.frombuffer(chunk.data, np.int16)))

    def _block(self, samples: np.ndarray) -> AudioBlock:
        """Make a block of samples that were just popped from the ring."""
        index = self._ring.first_index - len(samples)
        # A simulated clock that was just reset may lie less than a block after zero.
        stamp_ns = max(0, self._device_clock.computer_ns(index * SECOND_NS // SAMPLE_RATE))
        length_ns = len(samples) * SECOND_NS // SAMPLE_RATE
        if self._broken and self._expected_ns is not None:
            lost = max(1, round((stamp_ns - self._expected_ns) / length_ns))
            self._sequence += lost
            self._health = replace(self._health, lost_blocks=self._health.lost_blocks + lost)
        self._broken = False
        block = AudioBlock(stamp_ns, self._sequence, SAMPLE_RATE, samples)
        self._sequence += 1
        self._expected_ns = stamp_ns + length_ns
        self._health = replace(self._health, blocks=self._health.blocks + 1)
        return block

    def _choose_format(
        self, sounddevice: ModuleType, index: int, device: dict[str, Any]
    ) -> tuple[int, int]:
        """Return rate and channels to open, as near to 16 kHz mono as the device allows."""
        own_rate = round(device['default_samplerate'])
        most = int(device['max_input_channels'])
        rates = [self._rate] if self._rate else [SAMPLE_RATE, own_rate, 48000, 44100]
        counts = [self._channels] if self._channels else [1, min(2, most), most]
        reason = ''
        for rate in rates:
            for channels in counts:
                try:
                    sounddevice.check_input_settings(
                        device=index, channels=channels, dtype='int16', samplerate=rate
                    )
                except sounddevice.PortAudioError as error:
                    reason = _reason(error)
                    continue
                return rate, channels
        raise KwsImuError(
            f'Microphone {device["name"]!r} offers no usable format ({reason}); '
            'close other programs that use it, or choose another device.'
        )


def choose_device(wanted: str, devices: list[dict[str, Any]], default: int) -> int:
    """
    Return the index of the input device that `wanted` means.

    wanted: index, name, or part of one name, in any case; '' for the default.
    devices: what PortAudio lists; default: index of its default input, -1 for none.

    Raises:
        KwsImuError: there is no microphone, or `wanted` means none of them or several.

    """
    inputs = {i: d['name'] for i, d in enumerate(devices) if d['max_input_channels'] > 0}
    if not inputs:
        raise KwsImuError(
            'No microphone was found; plug one in and check that it is not muted, or give a '
            'recording as input.'
        )
    wanted = wanted.strip()
    if not wanted:
        return default if default in inputs else next(iter(inputs))
    listing = ', '.join(f'{i} {name!r}' for i, name in inputs.items())
    lower = wanted.lower()
    if wanted.isdecimal():
        matches = [i for i in inputs if i == int(wanted)]
    else:
        exact = [i for i, name in inputs.items() if name.lower() == lower]
        matches = exact or [i for i, name in inputs.items() if lower in name.lower()]
    if len(matches) == 1:
        return matches[0]
    problem = 'means several devices' if matches else 'was not found'
    raise KwsImuError(f'Microphone {wanted!r} {problem}; choose one of: {listing}.')


def list_microphones() -> list[tuple[int, str]]:
    """
    Return index and name of every input device.

    Raises:
        KwsImuError: PortAudio is missing.

    """
    devices = _import_sounddevice().query_devices()
    return [(i, d['name']) for i, d in enumerate(devices) if d['max_input_channels'] > 0]


def check_microphone(wanted: str) -> None:
    """
    Check that `wanted` means one of the devices that PortAudio listed when it was started.

    Raises:
        KwsImuError: PortAudio is missing, or see `choose_device`.

    """
    sounddevice = _import_sounddevice()
    devices = [dict(device) for device in sounddevice.query_devices()]
    choose_device(wanted, devices, _default_input(sounddevice))


def _default_input(sounddevice: ModuleType) -> int:
    """Return the index of the default input device, -1 for none."""
    return int(sounddevice.default.device[0])


def _reason(error: Exception) -> str:
    """Return PortAudio's own words for an error."""
    return str(error.args[0]).splitlines()[0].rstrip('.') if error.args else 'unknown error'


def _import_sounddevice(rescan: bool = False) -> ModuleType:
    """
    Import sounddevice only where a microphone is wanted: it needs a library of the system.

    rescan: look for devices again; PortAudio does so only when it starts, which ends the streams
    that the process has.
    """
    known = 'sounddevice' in sys.modules
    try:
        import sounddevice
    except ImportError as error:
        raise KwsImuError(
            'The Python package sounddevice is missing; run pip install sounddevice.'
        ) from error
    except OSError as error:
        raise KwsImuError(
            'PortAudio is missing; install it, for instance with apt install libportaudio2.'
        ) from error
    if rescan and known:
        sounddevice._terminate()
        sounddevice._initialize()
    module: ModuleType = sounddevice
    return module
