"""The imu node: a serial board, an MPU-6050 or a recording on `imu/data_raw`."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Imu
from std_srvs.srv import Trigger

from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.calibration import Calibration, calibrate_at_rest
from kws_imu_ros.imu.mounting import MOUNTINGS, Mounting
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.sources import KINDS, RECORDING, ImuSettings, ImuSource, make_source
from kws_imu_ros.imu.stream import ImuStream
from kws_imu_ros.messages.imu import imu_sample_to_message
from kws_imu_ros.nodes.runtime.sensor_node import SensorNode, run_sensor_node

CALIBRATION_NS = 2_000_000_000
# A calibration is of now, not of what came before the cable was pulled.
CALIBRATION_AGE_NS = 1_000_000_000


class ImuNode(SensorNode):
    """
    Publishes `imu/data_raw` per REP-145: m/s^2 with gravity, rad/s, no orientation.

    The service `~/calibrate` takes the gyroscope's bias and the accelerometer's scale from the
    last two seconds, if the sensor lay still in them; at start the node tries the same until it
    works, and publishes uncorrected samples meanwhile.
    """

    PARAMETERS = (
        Declaration('input', 'serial', f'Where samples come from: {", ".join(KINDS)}.'),
        Declaration('frame_id', 'imu_link', 'Frame of the samples.'),
        Declaration('port', '/dev/ttyACM0', 'Serial port of the board.'),
        Declaration('baud_rate', 115200, 'Speed of the serial line in bits/s.', 1200, 4_000_000),
        Declaration('i2c_bus', 1, 'Number of the I2C bus: 1 for /dev/i2c-1.', 0, 255),
        Declaration(
            'i2c_address',
            0x68,
            'Address of the MPU-6050: 104 (0x68), or 105 (0x69) with AD0 high.',
            0x08,
            0x77,
        ),
        Declaration('rate', 100, 'Rate of the MPU-6050 in Hz; a board sets its own.', 4, 200),
        Declaration('acceleration_range', 8, 'Range of the MPU-6050 in g: 2, 4, 8 or 16.'),
        Declaration(
            'rotation_range', 1000, 'Range of the MPU-6050 in degrees/s: 250, 500, 1000 or 2000.'
        ),
        Declaration('file', '', 'Recording (csv or csv.gz) to play.'),
        Declaration('repeat', False, 'Play the recording again and again.'),
        Declaration(
            'calibrate_at_start',
            True,
            'Calibrate as soon as the sensor lies still; a recording is never calibrated.',
        ),
        Declaration(
            'mounting',
            'documented',
            "How the sensor is worn: a name, or the sensor's axes that point to the right, to the "
            f'hand and up with the palm down ({", ".join(MOUNTINGS)}, or such as -y x z).',
        ),
        *SensorNode.PARAMETERS,
    )

    def __init__(self, **kwargs: Any) -> None:
        """
        Open the sensor and start publishing.

        Raises:
            KwsImuError: a parameter does not fit, or the sensor cannot be opened.

        """
        self._calibration = Calibration()
        self._calibrated = False
        self._recent: deque[ImuSample] = deque()
        # Judges the samples for diagnostics, by the same rules as fusion does.
        self._stream = ImuStream()
        self._told: tuple[str, ...] = ()
        self._published = self._published_diagnosed = 0
        self._judged = self._stream.health
        super().__init__('imu', **kwargs)

    def configure(self) -> ImuSource:
        """Declare parameters and return the sensor or the recording."""
        kind, path = self.declare('input'), self.declare('file')
        settings = ImuSettings(
            self.declare('port'),
            self.declare('baud_rate'),
            self.declare('i2c_bus'),
            self.declare('i2c_address'),
            self.declare('rate'),
            self.declare('acceleration_range'),
            self.declare('rotation_range'),
            path,
            self.declare('repeat'),
        )
        self._calibrate_at_start = self.declare('calibrate_at_start')
        self._frame_id = self.declare('frame_id')
        self._mounting = Mounting.parse(self.declare('mounting'))
        self._plays_recording = kind == RECORDING
        self._calibrate_at_start &= not self._plays_recording
        self._publisher = self.create_publisher(Imu, 'imu/data_raw', qos_profile_sensor_data)
        self.create_service(Trigger, '~/calibrate', self._on_calibrate)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        if self._plays_recording and not path:
            raise KwsImuError(
                "The input of the imu node is 'file' but no file was named; set the "
                'parameter file to a csv or csv.gz.'
            )
        self._imu: ImuSource = make_source(kind, self.now_ns, settings)
        return self._imu

    def publish_reading(self, reading: list[ImuSample]) -> None:
        """Publish the samples that came."""
        if self._imu.notes != self._told:
            self._tell()
        for raw in reading:
            self._recent.append(raw)
            while raw.stamp_ns - self._recent[0].stamp_ns > CALIBRATION_NS:
                self._recent.popleft()
            if self._recent[0].stamp_ns > raw.stamp_ns:  # The clock was set back.
                self._recent.clear()
            sample = self._mounting.turn(self._calibration.apply(raw))
            self._stream.push(sample)
            self._publisher.publish(imu_sample_to_message(sample, self._frame_id))
            self._published += 1

    def _tell(self) -> None:
        """Log what is new of what people should know of the source."""
        for note in self._imu.notes:
            if note not in self._told:
                self.get_logger().warning(note)
        self._told = self._imu.notes

    def listened_to(self) -> bool:
        """Return whether it is a sensor, or somebody sees the recording."""
        return not self._plays_recording or self._publisher.get_subscription_count() > 0

    def diagnose(self, seconds: float) -> tuple[list[str], dict[str, Any]]:
        """Return what is wrong with the samples, and their rate and counts."""
        if self._calibrate_at_start and not self._calibrated:
            self._try_to_calibrate()
        published = self._published - self._published_diagnosed
        self._published_diagnosed = self._published
        health = self._stream.health
        warnings = list(health.since(self._judged).sentences())
        self._judged = health
        if self.finished:
            warnings.clear()  # A recording that has ended is no broken sensor.
        warnings += self._imu.notes
        if self._calibrate_at_start and not self._calibrated and self._published:
            warnings.append('The IMU is not calibrated: lay it down for two seconds.')
        bias = ' '.join(f'{value:.4f}' for value in self._calibration.angular_velocity_bias)
        return warnings, {
            'rate (Hz)': f'{published / seconds:.1f}' if seconds > 0 else '0.0',
            **self._source.counts(),
            'gaps': health.gaps,
            'longest gap (ms)': f'{health.longest_gap_ns / 1e6:.1f}',
            'clock jumps': health.clock_jumps,
            'not finite': health.not_finite,
            'absurd': health.absurd,
            'calibrated': self._calibrated,
            'gyroscope bias (rad/s)': bias,
            'accelerometer scale': f'{self._calibration.acceleration_scale:.4f}',
        }

    def _try_to_calibrate(self) -> str:
        """Calibrate from the newest samples; return '' or the sentence that says why not."""
        samples = self._newest_samples()
        try:
            if samples and self.now_ns() - samples[-1].stamp_ns > CALIBRATION_AGE_NS:
                raise KwsImuError('The IMU cannot be calibrated because no samples come.')
            self._calibration = calibrate_at_rest(samples)
        except KwsImuError as error:
            return str(error)
        self._calibrated = True
        self.get_logger().info(
            'Calibrated: gyroscope bias '
            f'{", ".join(f"{v:.4f}" for v in self._calibration.angular_velocity_bias)} rad/s, '
            f'accelerometer scale {self._calibration.acceleration_scale:.4f}.'
        )
        return ''

    def _newest_samples(self) -> list[ImuSample]:
        """Return a copy of the newest samples, which the source's thread goes on changing."""
        while True:
            try:
                return list(self._recent)
            except RuntimeError:
                continue  # The thread appended during the copy, which takes microseconds.

    def _on_calibrate(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        problem = self._try_to_calibrate()
        response.success = not problem
        response.message = problem or 'The IMU is calibrated.'
        return response

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == 'retry_period':
                self._retry_s = parameter.value
        return SetParametersResult(successful=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the imu node until it is told to end or its recording has ended."""
    sys.exit(run_sensor_node(ImuNode, arguments, 'imu'))


if __name__ == '__main__':
    main()
