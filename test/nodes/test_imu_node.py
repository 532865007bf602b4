"""The imu node as a process: a board on a pty, recordings, calibration, and what can go wrong."""

from __future__ import annotations

import contextlib
import math
import os
import re
import threading
import time
import tty

import numpy as np
import pytest

from kws_imu_ros.imu.recording import read_recording
from kws_imu_ros.imu.serial_protocol import SerialReading, encode_reading

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Imu
from std_srvs.srv import Trigger

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.imu import imu_sample_from_message
from kws_imu_ros.nodes.imu_node import ImuNode

NODE = 'kws_imu_ros.nodes.imu_node'


class Board(threading.Thread):
    """Plays samples at about 100 Hz into a pty, over and over, as a board does."""

    def __init__(self, samples) -> None:
        super().__init__(daemon=True)
        self.samples = samples
        self.master, self._slave = os.openpty()
        tty.setraw(self.master)
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.port = os.ttyname(self._slave)
        self._unplugged = threading.Event()
        self.start()

    def run(self) -> None:
        sequence = 0
        unsent = b''
        while not self._unplugged.wait(0.01):
            sample = self.samples[sequence % len(self.samples)]
            micros = time.monotonic_ns() // 1000 % 2**32
            reading = SerialReading(sequence % 65536, micros, *sample)
            # A line that does not fit because nobody reads is sent to its end before the next.
            line = unsent or encode_reading(reading)
            with contextlib.suppress(BlockingIOError):
                unsent = line[os.write(self.master, line) :]
            sequence += 1

    def unplug(self) -> None:
        if self._unplugged.is_set():
            return
        self._unplugged.set()
        self.join()
        os.close(self.master)
        os.close(self._slave)


def readings(path):
    return [(s.linear_acceleration, s.angular_velocity) for s in read_recording(path).samples]


@pytest.fixture
def plug_in():
    boards = []

    def plug_in(samples):
        boards.append(Board(samples))
        return boards[-1]

    yield plug_in
    for board in boards:
        board.unplug()


def start(processes, **parameters):
    arguments = ['--ros-args']
    for name, value in parameters.items():
        arguments += ['-p', f'{name}:={value}']
    return processes.start('-m', NODE, *arguments)


def statuses(diagnostics):
    return [s for array in diagnostics for s in array.status if s.name == 'imu']


def values(status):
    return {v.key: v.value for v in status.values}


def calibrate(probe):
    """Calibrate; again where a machine that was held up gave no samples to calibrate from."""
    answers = []

    def answered() -> bool:
        answers.append(probe.call(Trigger, 'imu/calibrate', Trigger.Request()))
        return answers[-1].success or 'no samples come' not in answers[-1].message

    assert probe.spin_until(answered)
    return answers[-1]


def test_a_board_on_a_serial_line_becomes_rep_145(processes, probe, plug_in, test_data):
    board = plug_in(readings(test_data / 'imu' / 'razor_shaken.csv.gz'))
    imu = probe.record(Imu, 'imu/data_raw', qos_profile_sensor_data)
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    start(processes, port=board.port, calibrate_at_start='false')
    assert probe.spin_until(lambda: len(imu) > 150)
    message = imu[-1]
    assert message.header.frame_id == 'imu_link'
    assert message.orientation_covariance[0] == -1.0
    samples = [imu_sample_from_message(m) for m in imu]
    played = {tuple(round(v, 5) for v in (*a, *r)) for a, r in board.samples}
    for sample in samples:
        received = (*sample.linear_acceleration, *sample.angular_velocity)
        assert tuple(round(v, 5) for v in received) in played
    stamps = np.array([s.stamp_ns for s in samples])
    assert np.diff(stamps).min() > 0
    assert abs(stamps[-1] - time.time_ns()) < 3600e9, 'of this computer, not of the board'
    assert probe.spin_until(lambda: len(statuses(diagnostics)) >= 3)
    status = statuses(diagnostics)[-1]
    assert values(status)['damaged lines'] == '0'
    assert float(values(status)['rate (Hz)']) > 0


def test_a_still_board_is_calibrated_at_start_and_a_shaken_one_on_request_is_not(
    processes, probe, plug_in, test_data
):
    board = plug_in(readings(test_data / 'imu' / 'razor_still.csv.gz'))
    imu = probe.record(Imu, 'imu/data_raw', qos_profile_sensor_data)
    child = start(processes, port=board.port)
    assert child.wait_for('Calibrated: gyroscope bias -0.1')
    # What waits in queues was published before.
    assert probe.spin_until(lambda: len(imu) > 20)
    imu.clear()
    assert probe.spin_until(lambda: len(imu) > 100)
    rotation = np.mean([imu_sample_from_message(m).angular_velocity for m in imu], axis=0)
    gravity = np.mean([imu_sample_from_message(m).linear_acceleration for m in imu], axis=0)
    np.testing.assert_allclose(rotation, 0.0, atol=0.01)
    assert np.linalg.norm(gravity) == pytest.approx(9.80665, abs=0.05)

    answer = calibrate(probe)
    assert answer.success
    board.samples = readings(test_data / 'imu' / 'razor_shaken.csv.gz')
    imu.clear()
    assert probe.spin_until(lambda: len(imu) > 100)
    answer = calibrate(probe)
    assert not answer.success
    assert 'was not calibrated because it moved' in answer.message


def test_a_board_that_sends_g_is_reported(processes, probe, plug_in):
    board = plug_in([((0.0, 0.01 * (i % 2), 1.0), (0.0, 0.0, 0.001)) for i in range(100)])
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    start(processes, port=board.port)

    def reports():
        found = [s for s in statuses(diagnostics) if 'looks like g instead of m/s^2' in s.message]
        return {status.level for status in found}

    assert probe.spin_until(reports)
    assert reports() == {DiagnosticStatus.WARN}


def test_absurd_values_are_reported(processes, probe, plug_in):
    still = ((0.0, 0.0, 9.81), (0.0, 0.0, 0.001))
    mad = ((0.0, 0.0, 99999.0), (0.0, 0.0, 0.0))
    board = plug_in([mad if i % 20 == 0 else still for i in range(100)])
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    start(processes, port=board.port, calibrate_at_start='false')
    assert probe.spin_until(
        lambda: any('beyond any real sensor' in s.message for s in statuses(diagnostics))
    )


def test_unplugging_is_survived(processes, probe, plug_in, tmp_path):
    still = [((0.0, 0.0, 9.81), (0.0, 0.0, 0.001))]
    board = plug_in(still)
    link = tmp_path / 'ttyACM0'
    link.symlink_to(board.port)
    imu = probe.record(Imu, 'imu/data_raw', qos_profile_sensor_data)
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    child = start(processes, port=link, retry_period='0.2')
    assert probe.spin_until(lambda: len(imu) > 10)
    link.unlink()
    board.unplug()
    assert probe.spin_until(
        lambda: statuses(diagnostics) and statuses(diagnostics)[-1].level == DiagnosticStatus.ERROR
    )
    assert child.popen.poll() is None
    imu.clear()
    link.symlink_to(plug_in(still).port)
    assert probe.spin_until(lambda: len(imu) > 10)
    assert probe.spin_until(lambda: statuses(diagnostics)[-1].level != DiagnosticStatus.ERROR)
    assert 'Traceback' not in child.output
    assert child.stop() == 0


def test_a_recording_is_published(processes, probe, test_data):
    path = test_data / 'gestures' / 'grwd' / 'swipe_left' / 'subject_13' / '0.csv.gz'
    recorded = read_recording(path).samples
    imu = probe.record(Imu, 'imu/data_raw', qos_profile_sensor_data)
    start(processes, input='file', file=path, repeat='true')
    assert probe.spin_until(lambda: len(imu) > len(recorded) // 2)
    known = {s.linear_acceleration for s in recorded}
    assert all(imu_sample_from_message(m).linear_acceleration in known for m in imu)


@pytest.mark.parametrize(
    ('parameters', 'sentence'),
    [
        ({'port': '/dev/ttyNone'}, 'Serial port /dev/ttyNone does not exist'),
        ({'input': 'telepathy'}, "is 'telepathy'; choose one of serial, mpu6050, file."),
        ({'input': 'file'}, 'no file was named'),
        ({'input': 'file', 'file': '/none.csv'}, 'IMU recording /none.csv does not exist'),
        ({'input': 'mpu6050', 'i2c_bus': 250}, '/dev/i2c-250 cannot be opened'),
        ({'input': 'mpu6050', 'acceleration_range': 3}, 'acceleration_range_g is 3'),
        ({'rate': 1000}, 'The parameter rate of /imu is out of range; give 4 to 200.'),
    ],
)
def test_bad_parameters_are_one_sentence(ros_context, parameters, sentence):
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    with pytest.raises(KwsImuError, match=re.escape(sentence)) as raised:
        ImuNode(context=ros_context, parameter_overrides=overrides)
    assert len(str(raised.value).splitlines()) == 1


def test_a_start_that_cannot_be_ends_with_one_sentence_and_status_2(processes):
    child = start(processes, port='/dev/ttyNone')
    assert child.wait() == 2
    assert len(child.output.strip().splitlines()) == 1


def test_nothing_to_calibrate_is_one_sentence(processes, probe, plug_in):
    board = plug_in([((0.0, 0.0, math.pi), (0.0, 0.0, 0.0))])
    imu = probe.record(Imu, 'imu/data_raw', qos_profile_sensor_data)
    start(processes, port=board.port, calibrate_at_start='false')
    assert probe.spin_until(lambda: len(imu) > 150)
    answer = calibrate(probe)
    assert not answer.success
    assert 'measures gravity as 3.14 m/s^2' in answer.message


def test_a_sensor_that_is_worn_otherwise_is_turned_and_the_rows_left_out_are_told(
    ros_context, probe, tmp_path
):
    path = tmp_path / 'lengthwise.csv'
    rows = [f'{i / 100},{1 + i / 100},2,9.5,0.1,0.{i % 5},0.3' for i in range(100)]
    rows[50] = '0.5,,,,,,'
    path.write_text('\n'.join(['time,ax,ay,az,gx,gy,gz', *rows]))
    overrides = {'input': 'file', 'file': str(path), 'mounting': '-y x z'}
    imu = probe.record(Imu, 'imu/data_raw', qos_profile_sensor_data)
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    node = ImuNode(
        parameter_overrides=[Parameter(name, value=value) for name, value in overrides.items()],
        context=ros_context,
    )
    probe.add_node(node)
    try:
        assert probe.spin_until(lambda: len(imu) >= 5 and len(statuses(diagnostics)) >= 2)
    finally:
        node.destroy_node()
    acceleration = imu[0].linear_acceleration
    assert (acceleration.x, acceleration.z) == pytest.approx((-2.0, 9.5))
    assert 1.0 <= acceleration.y < 2.0
    assert any('1 of 100 rows' in status.message for status in statuses(diagnostics))


def test_a_mounting_that_cannot_be_is_refused(ros_context):
    with pytest.raises(KwsImuError, match='mirrored'):
        ImuNode(parameter_overrides=[Parameter('mounting', value='-x y z')], context=ros_context)
