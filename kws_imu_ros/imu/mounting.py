"""
How a sensor sits on the wrist, and readings turned to how the documentation has it.

The models are trained with x to the right, across the forearm, y along it to the hand and z out of
the back of the wrist, as `docs/wearing.svg` shows: with the palm down, z is up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample

# name -> the sensor's axes that point to the right, to the hand and out of the back of the wrist.
MOUNTINGS = {
    'documented': 'x y z',
    'turned_around': '-x -y z',
    'inside': '-x y -z',
    'inside_turned_around': 'x -y -z',
    'x_to_hand': '-y x z',
    'x_to_elbow': 'y -x z',
}


@dataclass(frozen=True)
class Mounting:
    """
    A rotation by quarter turns from the sensor's axes to the documented ones.

    axes: for each documented axis x, y, z, the index of the sensor's axis that points there.
    signs: 1 or -1 for each.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    signs: tuple[int, int, int] = (1, 1, 1)

    @classmethod
    def parse(cls, text: str) -> Mounting:
        """
        Return the mounting of a name in MOUNTINGS, or of three axes such as '-y x z'.

        The axes are those of the sensor that point to the right (across the forearm), to the hand
        and out of the back of the wrist, with the palm down.

        Raises:
            KwsImuError: no such name, or axes that no sensor can have.

        """
        words = MOUNTINGS.get(text.strip(), text).replace(',', ' ').lower().split()
        names = [word.lstrip('+-') for word in words]
        if sorted(names) != ['x', 'y', 'z'] or any(len(word) > 2 for word in words):
            raise KwsImuError(
                f"Mounting '{text}' is not known; give one of {', '.join(MOUNTINGS)}, or the "
                "sensor's axes that point to the right, to the hand and up, such as '-y x z'."
            )
        a, b, c = ('xyz'.index(name) for name in names)
        p, q, r = (-1 if word.startswith('-') else 1 for word in words)
        # Even permutations keep the hand of the axes, and so does an even number of minus signs.
        even = (a, b, c) in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
        if p * q * r != (1 if even else -1):
            raise KwsImuError(
                f"Mounting '{text}' is of a mirrored sensor; right, hand and up follow the "
                'right-hand rule, so correct the sign of one axis.'
            )
        return cls((a, b, c), (p, q, r))

    def turn(self, sample: ImuSample) -> ImuSample:
        """Return a reading in the documented axes."""
        return replace(
            sample,
            linear_acceleration=self._turned(sample.linear_acceleration),
            angular_velocity=self._turned(sample.angular_velocity),
        )

    def _turned(self, vector: tuple[float, float, float]) -> tuple[float, float, float]:
        (a, b, c), (p, q, r) = self.axes, self.signs
        return p * vector[a], q * vector[b], r * vector[c]
