"""Read sound files."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import soxr

from kws_imu_ros.audio.block import SAMPLE_RATE
from kws_imu_ros.audio.resampling import downmix, to_int16
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import user_path

# A recording is held in memory; an hour of 16 kHz int16 is 115 MB.
MAXIMUM_RECORDING_S = 3600


def read_audio_file(path: Path | str) -> np.ndarray:
    """
    Return a wav, flac, ogg (or other sound) file as 16 kHz mono int16 (n,).

    Any sample rate and channel count is converted; channels are averaged.

    Raises:
        KwsImuError: the file is missing, unreadable, no sound file, empty, truncated or too long.

    """
    soundfile = _import_soundfile()
    path = user_path(path)
    if not path.is_file():
        raise KwsImuError(f'Audio file {path} does not exist; check the path.')
    if path.stat().st_size == 0:
        raise KwsImuError(f'Audio file {path} is empty; record it again.')
    try:
        with soundfile.SoundFile(path) as file:
            rate, channels, announced = file.samplerate, file.channels, file.frames
            if announced > rate * MAXIMUM_RECORDING_S:
                raise KwsImuError(
                    f'Audio file {path} lasts {announced / rate:.0f} s but at most '
                    f'{MAXIMUM_RECORDING_S} s are read; cut it.'
                )
            samples = file.read(dtype='int16', always_2d=True)
            truncated = len(samples) < announced or _says_truncated(file.extra_info)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip('.')
        if re.search(r'lost sync|malformed|unexpected|truncat', reason, re.IGNORECASE):
            raise KwsImuError(
                f'Audio file {path} is truncated or damaged ({reason}); copy or record it again.'
            ) from error
        raise KwsImuError(
            f'Audio file {path} cannot be read ({reason}); give a wav, flac or ogg file.'
        ) from error
    except OSError as error:
        raise KwsImuError(
            f'Audio file {path} cannot be opened ({error.strerror}); check its permissions.'
        ) from error
    if truncated:
        raise KwsImuError(
            f'Audio file {path} is truncated: it holds less audio than it announces; '
            'copy or record it again.'
        )
    if len(samples) == 0:
        raise KwsImuError(f'Audio file {path} holds no audio; record it again.')
    if rate == SAMPLE_RATE and channels == 1:
        return samples[:, 0].copy()
    return to_int16(soxr.resample(downmix(samples), rate, SAMPLE_RATE))


def _says_truncated(log: str) -> bool:
    """Tell from libsndfile's log whether a file that it could open has lost its end."""
    if re.search(r'ended unexpectedly|lacks an end-of-stream|Junk after the last page', log):
        return True  # Ogg.
    wav = re.search(r'^data\s*:\s*(\d+) \(should be (\d+)\)', log, re.MULTILINE)
    # Programs that write to a pipe announce the largest size there is, which is no damage.
    return wav is not None and int(wav[2]) < int(wav[1]) < 0x7FFFF000


def _import_soundfile() -> ModuleType:
    """Import soundfile only where a recording is read: it needs a library of the system."""
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise KwsImuError(
            'Sound files cannot be read because soundfile or libsndfile is missing; run '
            'pip install soundfile.'
        ) from error
    return soundfile
