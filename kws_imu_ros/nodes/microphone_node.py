"""The microphone node: audio of a microphone or of a sound file on `audio`."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from std_msgs.msg import Int16MultiArray

from kws_imu_ros.audio.block import BLOCK_MS_RANGE, AudioBlock
from kws_imu_ros.audio.level import QUIETEST_WORD_DBFS, LevelWatch
from kws_imu_ros.audio.sources import DEVICES, AudioDevice, AudioSource, FileSource
from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.audio import audio_block_to_message
from kws_imu_ros.nodes.runtime.qos import AUDIO_QOS
from kws_imu_ros.nodes.runtime.sensor_node import SensorNode, run_sensor_node

MICROPHONE = 'microphone'
# Digital silence of this length is a muted microphone, not a quiet room.
MUTED_S = 5.0


class MicrophoneNode(SensorNode):
    """Publishes `audio`: 16 kHz mono int16 in blocks that are stamped, numbered and gapless."""

    PARAMETERS = (
        Declaration(
            'input',
            MICROPHONE,
            "'microphone', or the path of a wav, flac or ogg file that is played instead.",
        ),
        Declaration(
            'device',
            '',
            'Microphone: index, name, or a part of a name that only one has; empty: the default.',
            read_only=False,
        ),
        Declaration('block_ms', 20, 'Length of a block in ms.', *BLOCK_MS_RANGE),
        Declaration(
            'capture_rate',
            0,
            'Rate in Hz to take from the microphone and resample; 0: 16000 where it can.',
            0,
            384000,
        ),
        Declaration(
            'capture_channels',
            0,
            'Channels to take from the microphone and average; 0: one where it can.',
            0,
            64,
        ),
        Declaration('repeat', False, 'Play the file again and again.'),
        Declaration(
            'trailing_silence',
            1.0,
            's of silence after the file, so that its last word is decided upon.',
            0.0,
            60.0,
        ),
        *SensorNode.PARAMETERS,
    )

    def __init__(self, **kwargs: Any) -> None:
        """
        Open the microphone or the file and start publishing.

        Raises:
            KwsImuError: a parameter does not fit, or there is nothing to listen to.

        """
        self._blocks = self._blocks_diagnosed = 0
        self._overruns_diagnosed = 0
        self._peak = 0
        self._silent_s = 0.0
        self._level = LevelWatch()
        self._newest_age_ns = 0
        self._listening: AudioDevice | None = None
        super().__init__('microphone', **kwargs)

    def configure(self) -> AudioSource:
        """Declare parameters and return the microphone or the file."""
        source_name, self._device = self.declare('input'), self.declare('device')
        block_ms = self.declare('block_ms')
        capture_rate, capture_channels = (
            self.declare('capture_rate'),
            self.declare('capture_channels'),
        )
        repeat, trailing_silence_s = self.declare('repeat'), self.declare('trailing_silence')
        self._kind = DEVICES.get(source_name)
        self._listens = self._kind is not None
        self._publisher = self.create_publisher(Int16MultiArray, 'audio', AUDIO_QOS)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        if self._kind is not None:
            self._listening = self._kind.make(
                self.now_ns, self._device, block_ms, capture_rate, capture_channels
            )
            return self._listening
        file = FileSource(source_name, self.now_ns, block_ms, repeat, trailing_silence_s)
        for remark in file.remarks:
            self.get_logger().warning(f'The {file.description} is odd: {remark}.')
        return file

    def publish_reading(self, reading: AudioBlock) -> None:
        """Publish one block."""
        self._publisher.publish(audio_block_to_message(reading))
        self._blocks += 1
        self._peak = max(self._peak, int(np.abs(reading.samples.astype(np.int32)).max()))
        self._level.push(reading.samples)
        self._newest_age_ns = self.now_ns() - reading.end_ns

    def listened_to(self) -> bool:
        """Return whether it is a microphone, or somebody hears the file."""
        return self._listens or self._publisher.get_subscription_count() > 0

    def diagnose(self, seconds: float) -> tuple[list[str], dict[str, Any]]:
        """Return what is wrong with the audio, and its rates and counts."""
        counts = self._source.counts()
        blocks = self._blocks - self._blocks_diagnosed
        overruns = counts['overruns'] - self._overruns_diagnosed
        self._blocks_diagnosed, self._overruns_diagnosed = self._blocks, counts['overruns']
        peak, self._peak = self._peak, 0
        self._silent_s = self._silent_s + seconds if blocks and not peak else 0.0
        warnings = []
        if overruns:
            warnings.append(
                f'Audio was lost {overruns} times in the last {seconds:.0f} s: the computer is '
                'too busy.'
            )
        if self._listens and self._silent_s >= MUTED_S:
            warnings.append('The microphone gives digital silence: check whether it is muted.')
        if self._listening is not None and self._listening.inverted:
            warnings.append(
                'The channels of the microphone cancel each other out (one is inverted), so the '
                'loudest alone is heard; check its cable, or set capture_channels to 1.'
            )
        loudest = self._level.loudest_dbfs
        if blocks and self._level.too_quiet:
            warnings.append(
                f'What is heard is too quiet: the loudest 0.2 s of the last '
                f'{LevelWatch.SPAN_S:.0f} s reached {loudest:.0f} dBFS, and below '
                f'{QUIETEST_WORD_DBFS:.0f} words are lost; raise the gain of the microphone, or '
                'speak nearer to it.'
            )
        if self._listens and not blocks:
            warnings.append('No audio has arrived since the last report.')
        return warnings, {
            'rate (blocks/s)': f'{blocks / seconds:.1f}' if seconds > 0 else '0.0',
            'peak (dBFS)': f'{20.0 * math.log10(peak / 32768.0):.1f}' if peak else '-inf',
            'loudest (dBFS, 10 s)': f'{loudest:.1f}',
            **counts,
            'age of a block (ms)': f'{self._newest_age_ns / 1e6:.1f}',
        }

    def destroy_node(self) -> None:
        """Let the end of a file arrive, and leave."""
        if self.finished and self.context.ok():
            self._publisher.wait_for_all_acked(Duration(seconds=1.0))
        super().destroy_node()

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == 'retry_period':
                self._retry_s = parameter.value
            elif parameter.name == 'device' and parameter.value != self._device:
                if self._kind is None or self._listening is None:
                    return SetParametersResult(
                        successful=False, reason='A file is played; no microphone is in use.'
                    )
                try:
                    self._kind.check(parameter.value)
                except KwsImuError as error:
                    return SetParametersResult(successful=False, reason=str(error))
                self._device = parameter.value
                self._listening.device = parameter.value
                self.reopen()
        return SetParametersResult(successful=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the microphone node until it is told to end or its recording has ended."""
    sys.exit(run_sensor_node(MicrophoneNode, arguments, 'microphone'))


if __name__ == '__main__':
    main()
