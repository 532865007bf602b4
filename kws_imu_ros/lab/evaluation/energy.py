"""
What listening costs in energy: two estimates, no measurement.

By time: the processor is awake as long as an inference takes. By operations: what the arithmetic
and the memory traffic of one inference take on a chip, which no processor comes near, as fetching
and scheduling an instruction alone costs it some 70 pJ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.tflite_file import read_tflite

INFERENCES_PER_SECOND = 25.0
# Raspberry Pi 4: 2.7 W idle, 6.4 W with four busy cores.
CORE_WATTS = (6.4 - 2.7) / 4
CORE_SOURCE = (
    'Raspberry Pi 4 at the socket, 2.7 W idle and 6.4 W with four busy cores (J. Geerling, '
    'Raspberry Pi Dramble, power consumption benchmarks): (6.4 W - 2.7 W) / 4'
)
OPERATION_SOURCE = (
    "M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014: 45 nm, "
    '0.9 V; int8 multiplication 0.2 pJ, int32 addition 0.1 pJ, 64 bits from a 32 kB cache 20 pJ, '
    'from DRAM 1.3 to 2.6 nJ'
)
MULTIPLICATION_PJ = 0.2
ADDITION_PJ = 0.1
CACHE_PJ_PER_BYTE = 20.0 / 8.0
DRAM_PJ_PER_BYTE = 1300.0 / 8.0


@dataclass(frozen=True)
class Traffic:
    """Bytes moved by one inference when every operator reads and writes each tensor once."""

    weights: int
    activations: int


def traffic(model_bytes: bytes) -> Traffic:
    """
    Count what the operators of a ``.tflite`` read and write.

    Raises:
        KwsImuError: the bytes are no TensorFlow Lite model.

    """
    graph = read_tflite(model_bytes).main
    weights = activations = 0
    for operator in graph.operators:
        for index in (*operator.inputs, *operator.outputs):
            if index < 0:
                continue
            tensor = graph.tensors[index]
            if tensor.constant_bytes:
                weights += tensor.constant_bytes
            else:
                activations += tensor.bytes
    return Traffic(weights, activations)


def estimate_energy(
    model_bytes: bytes,
    macs: int,
    seconds: float,
    measured_on: str,
    core_watts: float = CORE_WATTS,
    inferences_per_second: float = INFERENCES_PER_SECOND,
) -> dict[str, Any]:
    """
    Estimate the energy of an int8 model that runs all the time.

    macs: multiply-accumulates of one inference. seconds: time of one inference on one thread, and
    measured_on, where. core_watts: what a busy core takes beyond an idle one.

    Raises:
        KwsImuError: a number is not positive, or the bytes are no model.

    """
    if min(macs, seconds, core_watts, inferences_per_second) <= 0.0:
        raise KwsImuError('Energy needs MACs, seconds, watts and a rate above zero; correct them.')
    by_time_uj = seconds * core_watts * 1e6
    moved = traffic(model_bytes)
    arithmetic_uj = macs * (MULTIPLICATION_PJ + ADDITION_PJ) * 1e-6
    cached_uj = arithmetic_uj + (moved.weights + moved.activations) * CACHE_PJ_PER_BYTE * 1e-6
    dram_uj = (
        arithmetic_uj
        + (moved.weights * DRAM_PJ_PER_BYTE + moved.activations * CACHE_PJ_PER_BYTE) * 1e-6
    )
    # Microjoules times inferences a second are microwatts.
    return {
        'is_estimate': True,
        'inferences_per_second': inferences_per_second,
        'by_time': {
            'formula': 'power = inferences/s x seconds of an inference x watts of a busy core',
            'seconds_per_inference': seconds,
            'measured_on': measured_on,
            'core_watts': core_watts,
            'source': CORE_SOURCE if core_watts == CORE_WATTS else 'as given',
            'microjoules_per_inference': by_time_uj,
            'milliwatts': by_time_uj * inferences_per_second / 1e3,
        },
        'by_operations': {
            'formula': (
                'energy = MACs x (multiplication + addition) + bytes moved x energy of a byte; '
                'every operator moves its weights and activations once'
            ),
            'macs': macs,
            'picojoules_per_mac': MULTIPLICATION_PJ + ADDITION_PJ,
            'weight_bytes': moved.weights,
            'activation_bytes': moved.activations,
            'picojoules_per_byte_of_cache': CACHE_PJ_PER_BYTE,
            'picojoules_per_byte_of_dram': DRAM_PJ_PER_BYTE,
            'source': OPERATION_SOURCE,
            'microjoules_arithmetic': arithmetic_uj,
            'microjoules_weights_in_cache': cached_uj,
            'microjoules_weights_in_dram': dram_uj,
            'milliwatts_weights_in_cache': cached_uj * inferences_per_second / 1e3,
            'milliwatts_weights_in_dram': dram_uj * inferences_per_second / 1e3,
        },
    }
